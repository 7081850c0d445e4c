import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { seededUniform } from './seeded.ts'
import { rateBounds, sideOf } from './sequential.ts'

const alphas = fc.double({ min: 1e-6, max: 0.5, noNaN: true })
const trialsUpTo = (max: number) =>
  fc
    .integer({ min: 1, max })
    .chain((trials) => fc.record({ trials: fc.constant(trials), failures: fc.integer({ min: 0, max: trials }) }))

describe('rateBounds', () => {
  test('knows nothing without trials', () => {
    expect(rateBounds({ failures: 0, trials: 0, alpha: 0.05 })).toEqual({ lower: 0, upper: 1 })
  })

  // Each solved by hand from M(p) = 1 / alpha, which has a closed form where k is 0 or n.
  test.each([
    { failures: 0, trials: 1, alpha: 0.01, lower: 0, upper: 1 - 0.01 / 2 },
    { failures: 1, trials: 1, alpha: 0.01, lower: 0.01 / 2, upper: 1 },
    { failures: 0, trials: 2, alpha: 0.01, lower: 0, upper: 1 - Math.sqrt((0.01 * 3) / 8) },
    { failures: 3, trials: 3, alpha: 0.01, lower: Math.cbrt((0.01 * 5) / 16), upper: 1 },
    {
      failures: 1,
      trials: 2,
      alpha: 0.05,
      lower: (1 - Math.sqrt(1 - 4 * 0.00625)) / 2,
      upper: (1 + Math.sqrt(1 - 4 * 0.00625)) / 2,
    },
  ])('$failures of $trials at alpha $alpha lies in [$lower, $upper]', ({ lower, upper, ...seen }) => {
    const bounds = rateBounds(seen)
    expect(bounds.lower).toBeCloseTo(lower, 12)
    expect(bounds.upper).toBeCloseTo(upper, 12)
  })

  test('says how much no failure proves, as the head of the file does', () => {
    const upper = [10, 100, 1000, 10_000].map((trials) => rateBounds({ failures: 0, trials, alpha: 0.01 }).upper)
    expect(upper.map((value) => Number(value.toPrecision(2)))).toEqual([0.47, 0.072, 0.0086, 0.00098])
  })

  test('contains the observed rate', () => {
    fc.assert(
      fc.property(trialsUpTo(1_000_000), alphas, (seen, alpha) => {
        const { lower, upper } = rateBounds({ ...seen, alpha })
        const observed = seen.failures / seen.trials
        expect(lower >= 0 && lower <= observed && observed <= upper && upper <= 1).toBe(true)
      }),
    )
  })

  test('is symmetric: failures bounded are successes bounded', () => {
    fc.assert(
      fc.property(trialsUpTo(100_000), alphas, ({ failures, trials }, alpha) => {
        const direct = rateBounds({ failures, trials, alpha })
        const mirrored = rateBounds({ failures: trials - failures, trials, alpha })
        expect(1 - mirrored.upper).toBeCloseTo(direct.lower, 9)
        expect(1 - mirrored.lower).toBeCloseTo(direct.upper, 9)
      }),
    )
  })

  test('moves up with every further failure', () => {
    fc.assert(
      fc.property(trialsUpTo(20_000), alphas, ({ failures, trials }, alpha) => {
        const before = rateBounds({ failures, trials, alpha })
        const added = rateBounds({ failures: failures + 1, trials: trials + 1, alpha })
        expect(added.lower).toBeGreaterThanOrEqual(before.lower - 1e-12)
        expect(added.upper).toBeGreaterThanOrEqual(before.upper - 1e-12)
      }),
    )
  })

  test('narrows on both sides as more of the same is seen', () => {
    fc.assert(
      fc.property(
        trialsUpTo(10_000),
        fc.integer({ min: 2, max: 50 }),
        alphas,
        ({ failures, trials }, factor, alpha) => {
          const few = rateBounds({ failures, trials, alpha })
          const many = rateBounds({ failures: failures * factor, trials: trials * factor, alpha })
          expect(many.upper - many.lower).toBeLessThan(few.upper - few.lower)
          expect(many.lower).toBeGreaterThanOrEqual(few.lower)
          expect(many.upper).toBeLessThanOrEqual(few.upper)
        },
      ),
    )
  })

  test('is wider for a smaller alpha', () => {
    fc.assert(
      fc.property(trialsUpTo(10_000), alphas, (seen, alpha) => {
        const strict = rateBounds({ ...seen, alpha: alpha / 10 })
        const loose = rateBounds({ ...seen, alpha })
        expect(strict.lower <= loose.lower && strict.upper >= loose.upper).toBe(true)
      }),
    )
  })

  test.each([
    [{ failures: 2, trials: 1, alpha: 0.05 }, /2 of 1/],
    [{ failures: -1, trials: 1, alpha: 0.05 }, /-1 of 1/],
    [{ failures: NaN, trials: 1, alpha: 0.05 }, /NaN of 1/],
    [{ failures: 0, trials: Infinity, alpha: 0.05 }, /finite/],
    [{ failures: 0, trials: 1, alpha: 0 }, /alpha/],
    [{ failures: 0, trials: 1, alpha: 1 }, /alpha/],
  ])('refuses %j', (seen, message) => {
    expect(() => rateBounds(seen)).toThrow(message)
  })
})

describe('sideOf', () => {
  test('agrees with the bounds', () => {
    const rates = fc.double({ min: 1e-9, max: 1 - 1e-9, noNaN: true })
    fc.assert(
      fc.property(trialsUpTo(10_000), alphas, rates, (seen, alpha, rate) => {
        const { lower, upper } = rateBounds({ ...seen, alpha })
        fc.pre(Math.abs(rate - lower) > 1e-9 && Math.abs(rate - upper) > 1e-9)
        expect(sideOf(rate, { ...seen, alpha })).toBe(rate < lower ? 'Above' : rate > upper ? 'Below' : undefined)
      }),
    )
  })
})

describe('false alarms under repeated looks', () => {
  const RUNS = 2000
  const TRIALS = 2000
  const ALPHA = 0.05

  /** After every request at first, then at every hundredth more: in between, hardly anything moves. */
  const looks = new Set<number>()
  for (let trials = 1; trials <= TRIALS; trials = Math.ceil(trials * 1.01)) looks.add(trials)

  /** Share of runs that see the true rate outside the bounds at one of their looks. */
  function missRate(rate: number, isMissed: (failures: number, trials: number) => boolean): number {
    const uniform = seededUniform(Math.round(rate * 1e6))
    /** Most runs pass through the same counts. */
    const known = new Map<number, boolean>()
    const misses = (failures: number, trials: number) => {
      const counts = trials * (TRIALS + 1) + failures
      const missed = known.get(counts) ?? isMissed(failures, trials)
      known.set(counts, missed)
      return missed
    }
    let missed = 0
    for (let run = 0; run < RUNS; run++) {
      let failures = 0
      for (let trials = 1; trials <= TRIALS; trials++) {
        if (uniform() < rate) failures++
        if (!looks.has(trials) || !misses(failures, trials)) continue
        missed++
        break
      }
    }
    return missed / RUNS
  }

  test.each([0.01, 0.1, 0.5])('stay below alpha at a true rate of %d', (rate) => {
    const missed = missRate(rate, (failures, trials) => sideOf(rate, { failures, trials, alpha: ALPHA }) !== undefined)
    expect(missed).toBeLessThanOrEqual(ALPHA)
    expect(missed).toBeGreaterThan(0)
  })

  test('would be many times alpha with a fixed-sample interval, which is why there is none', () => {
    const isOutsideWilson = (failures: number, trials: number) =>
      Math.abs(failures / trials - 0.5) > 1.96 * Math.sqrt(0.25 / trials)
    expect(missRate(0.5, isOutsideWilson)).toBeGreaterThan(5 * ALPHA)
  })
})
