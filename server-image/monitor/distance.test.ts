import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { kolmogorovSmirnovStatistic, sturgesBins, wassersteinDistance, weightedValues } from './distance.ts'
import { featureDrift } from './drift.ts'
import { profileOf } from './profile-build.ts'

/** All of them: NaN, infinities, both zeros, the least and the largest. */
const anyDouble = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, -0, 0, 5e-324, 1.7e308, -1.7e308))
const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
const samples = (value: fc.Arbitrary<number>) =>
  fc.array(fc.record({ value, weight: fc.double({ min: 0.01, max: 100, noNaN: true }) }), {
    minLength: 1,
    maxLength: 30,
  })

type Sample = readonly { readonly value: number; readonly weight: number }[]

function weighted(sample: Sample) {
  return weightedValues(
    sample.map(({ value }) => value),
    sample.map(({ weight }) => weight),
  )
}

describe('distances', () => {
  test('come to an end, whatever the values are', () => {
    fc.assert(
      fc.property(samples(anyDouble), samples(anyDouble), (left, right) => {
        kolmogorovSmirnovStatistic(weighted(left), weighted(right))
        wassersteinDistance(weighted(left), weighted(right))
      }),
    )
  })

  test('of finite values are numbers, however far apart the values are', () => {
    fc.assert(
      fc.property(samples(finite), samples(finite), (left, right) => {
        const [reference, current] = [weighted(left), weighted(right)]
        const ks = kolmogorovSmirnovStatistic(reference, current)
        expect(ks).toBeGreaterThanOrEqual(0)
        expect(ks).toBeLessThanOrEqual(1 + 1e-9)
        expect(Number.isFinite(wassersteinDistance(reference, current))).toBe(true)
        const bins = sturgesBins(reference, current, left.length + right.length)
        expect(bins.edges.every(Number.isFinite)).toBe(true)
        expect(bins.current.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9)
      }),
    )
  })
})

describe('drift of a numeric feature', () => {
  const rule = { method: 'auto', threshold: 0.1 } as const
  const profiles = ['few', 'many'].map((name, index) =>
    profileOf({ name, cells: Array.from({ length: 60 }, (_, row) => (index === 0 ? row % 3 : row)) }),
  )
  const drift = (profile: (typeof profiles)[number], sample: Sample) =>
    featureDrift(
      profile,
      { cells: sample.map(({ value }) => value), weights: sample.map(({ weight }) => weight) },
      rule,
    )

  test('is that of the values that are there, and tells the share of those that are not', () => {
    fc.assert(
      fc.property(fc.constantFrom(...profiles), samples(anyDouble), (profile, sample) => {
        const present = sample.filter(({ value }) => Number.isFinite(value))
        const weightOf = (of: Sample) => of.reduce((sum, { weight }) => sum + weight, 0)
        const { missing, ...whole } = drift(profile, sample)
        expect(missing).toBeCloseTo(1 - weightOf(present) / weightOf(sample), 9)
        if (present.length === 0) expect(whole).toMatchObject({ score: undefined, drifted: true, measures: {} })
        else {
          expect(whole).toEqual({ ...whole, ...drift(profile, present), missing: undefined })
          expect(Object.values(whole.measures).every(Number.isFinite)).toBe(true)
        }
      }),
    )
  })
})
