import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { logGamma } from './log-gamma.ts'

describe('logGamma', () => {
  // Digits as tabulated (DLMF 5.4, OEIS A068466, A073006; factorials exact); 1e8 by Stirling's series with 30 digits.
  test.each([
    [0.25, 1.2880225246980774],
    [0.5, 0.5723649429247001],
    [1, 0],
    [1.5, -0.12078223763524522],
    [2, 0],
    [3, Math.log(2)],
    [9.5, 11.689333420797269],
    [10, Math.log(362_880)],
    [11, Math.log(3_628_800)],
    [21, Math.log(2_432_902_008_176_640_000)],
    [100, 359.1342053695754],
    [1e8, 1_742_068_066.1038347],
  ])('of %d is %d', (x, value) => {
    expect(Math.abs(logGamma(x) - value)).toBeLessThan(1e-14 * Math.max(10, Math.abs(value)))
  })

  test('obeys gamma(x + 1) = x gamma(x)', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e7, noNaN: true }), (x) => {
        const left = logGamma(x + 1)
        expect(Math.abs(left - logGamma(x) - Math.log(x))).toBeLessThan(1e-13 * Math.max(10, Math.abs(left)))
      }),
    )
  })

  test.each([0, -1, NaN, Infinity])('refuses %d', (x) => {
    expect(() => logGamma(x)).toThrow(/positive finite/)
  })
})
