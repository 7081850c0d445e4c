import { describe, expect, test } from '@jest/globals'
import { chiSquarePValue, kolmogorovSmirnovPValue } from './significance.ts'

describe('the p-value of the two-sample Kolmogorov-Smirnov test', () => {
  // scipy 1.17.1: stats.ks_2samp's exact p-values of samples with these statistics.
  test.each([
    [1, 1, 1, 1],
    [1, 5, 5, 2 / 252],
    [1, 3, 4, 2 / 35],
    [0.5, 2, 2, 1],
    [0.75, 4, 4, 16 / 70],
  ])('of %p with %p and %p values is %p', (statistic, n, m, expected) => {
    expect(kolmogorovSmirnovPValue(statistic, n, m)).toBeCloseTo(expected, 12)
    expect(kolmogorovSmirnovPValue(statistic, m, n)).toBeCloseTo(expected, 12)
  })

  test('is 1 for equal samples, and nearly 0 for what cannot be chance', () => {
    expect(kolmogorovSmirnovPValue(0, 40, 30)).toBe(1)
    expect(kolmogorovSmirnovPValue(1, 1000, 1000)).toBeLessThan(1e-100)
  })

  test('of sizes too large for counting is near the exact one, and shrinks as the distance grows', () => {
    const exact = kolmogorovSmirnovPValue(0.05, 2000, 2000)
    expect(Math.abs(kolmogorovSmirnovPValue(0.05, 2001, 2000) - exact)).toBeLessThan(0.002)
    const tails = [0.001, 0.01, 0.02, 0.05, 0.1].map((statistic) => kolmogorovSmirnovPValue(statistic, 3000, 3000.5))
    expect([...tails].sort((left, right) => right - left)).toEqual(tails)
  })
})

describe('the p-value of the chi-squared test', () => {
  // scipy 1.17.1: stats.chisquare([30, 70], [50, 50]) and stats.chisquare([18, 22, 20], [20, 20, 20]).
  test.each([
    [{ a: 500, b: 500 }, { a: 30, b: 70 }, 6.334248366623996e-5],
    [{ a: 1, b: 1, c: 1 }, { a: 18, b: 22, c: 20 }, 0.8187307530779818],
  ])('of %p and %p is %p', (reference, current, expected) => {
    const counts = (of: object) => new Map<string, number>(Object.entries(of))
    expect(chiSquarePValue(counts(reference), counts(current))).toBeCloseTo(expected, 12)
  })

  test('is 0 for what the reference never had', () => {
    expect(chiSquarePValue(new Map([['a', 9]]), new Map([['b', 1]]))).toBe(0)
  })
})
