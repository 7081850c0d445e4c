import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { bucketUpperSeconds, latencyBucket, LATENCY_BUCKETS } from '../../../protocol/evidence.ts'
import { quantileBounds } from './quantile.ts'
import { seededUniform } from './seeded.ts'

const histograms = fc.dictionary(
  fc.integer({ min: 0, max: LATENCY_BUCKETS - 1 }).map(String),
  fc.integer({ min: 1, max: 5000 }),
  { minKeys: 1, maxKeys: 12 },
)
const quantiles = fc.constantFrom(0.5, 0.9, 0.95, 0.99)

describe('quantileBounds', () => {
  test('knows nothing without durations', () => {
    const nothing = { trials: 0, observedSeconds: null, lowerSeconds: 0, upperSeconds: Infinity }
    expect(quantileBounds({}, { quantile: 0.99, alpha: 0.05 })).toEqual(nothing)
    expect(quantileBounds({ 10: 0 }, { quantile: 0.99, alpha: 0.05 })).toEqual(nothing)
  })

  test('closes in on the one bucket that holds all durations', () => {
    expect(quantileBounds({ 40: 10_000 }, { quantile: 0.99, alpha: 0.05 })).toEqual({
      trials: 10_000,
      observedSeconds: bucketUpperSeconds(40),
      lowerSeconds: bucketUpperSeconds(39),
      upperSeconds: bucketUpperSeconds(40),
    })
  })

  test('has no upper bound while the slow share could still be larger than the quantile leaves', () => {
    const { lowerSeconds, upperSeconds } = quantileBounds({ 40: 100 }, { quantile: 0.99, alpha: 0.05 })
    expect(upperSeconds).toBe(Infinity)
    expect(lowerSeconds).toBe(bucketUpperSeconds(39))
  })

  test('never calls the open last bucket an upper bound', () => {
    const { observedSeconds, upperSeconds } = quantileBounds({ 149: 10_000 }, { quantile: 0.5, alpha: 0.05 })
    expect([observedSeconds, upperSeconds]).toEqual([Infinity, Infinity])
  })

  test('encloses the observed quantile, and narrows as more of the same is seen', () => {
    fc.assert(
      fc.property(histograms, quantiles, fc.integer({ min: 2, max: 20 }), (histogram, quantile, scale) => {
        const once = quantileBounds(histogram, { quantile, alpha: 0.05 })
        const more = quantileBounds(histogram, { quantile, alpha: 0.05, scale })
        expect(once.lowerSeconds).toBeLessThan(once.observedSeconds ?? NaN)
        expect(once.upperSeconds).toBeGreaterThanOrEqual(once.observedSeconds ?? NaN)
        expect(more.lowerSeconds).toBeGreaterThanOrEqual(once.lowerSeconds)
        expect(more.upperSeconds).toBeLessThanOrEqual(once.upperSeconds)
      }),
    )
  })

  test('moves up when durations move up', () => {
    fc.assert(
      fc.property(histograms, quantiles, fc.integer({ min: 1, max: 30 }), (histogram, quantile, shift) => {
        const slower: Record<string, number> = {}
        for (const [index, count] of Object.entries(histogram)) {
          const moved = Math.min(Number(index) + shift, LATENCY_BUCKETS - 1)
          slower[moved] = (slower[moved] ?? 0) + count
        }
        const before = quantileBounds(histogram, { quantile, alpha: 0.05 })
        const after = quantileBounds(slower, { quantile, alpha: 0.05 })
        expect(after.lowerSeconds).toBeGreaterThanOrEqual(before.lowerSeconds)
        expect(after.upperSeconds).toBeGreaterThanOrEqual(before.upperSeconds)
      }),
    )
  })

  test('misses the true quantile at any of many looks in fewer than alpha of the runs', () => {
    const alpha = 0.1
    const runs = 400
    const uniform = seededUniform(7)
    // Exponential durations of mean 10 ms; their true 90th percentile is 10 ms * ln 10.
    const truth = 0.01 * Math.log(10)
    let missed = 0
    for (let run = 0; run < runs; run++) {
      const histogram: Record<string, number> = {}
      for (let n = 1; n <= 1000; n++) {
        const index = latencyBucket(-0.01 * Math.log(1 - uniform()))
        histogram[index] = (histogram[index] ?? 0) + 1
        if (n % 20 !== 0) continue
        const { lowerSeconds, upperSeconds } = quantileBounds(histogram, { quantile: 0.9, alpha })
        if (lowerSeconds < truth && truth <= upperSeconds) continue
        missed++
        break
      }
    }
    expect(missed / runs).toBeLessThanOrEqual(alpha)
  })

  test.each([{ 150: 1 }, { '-1': 1 }, { fast: 1 }, { 3: -1 }, { 3: NaN }])('refuses the histogram %j', (histogram) => {
    expect(() => quantileBounds(histogram, { quantile: 0.9, alpha: 0.05 })).toThrow(/latency\[/)
  })
})
