import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { afterRetry, retryAt } from './back-off.ts'
import type { BackOff } from './back-off.ts'

const policy = { baseMs: 10_000, maxMs: 300_000 }

/** The waits that a container sees which crashes so long after each start. */
function waits(crashesAfterMs: readonly number[]): number[] {
  let backOff: BackOff | undefined
  let nowMs = 0
  return crashesAfterMs.map((ranMs) => {
    const failedAtMs = nowMs + ranMs
    nowMs = retryAt(backOff, failedAtMs, policy)
    backOff = afterRetry(backOff, failedAtMs, nowMs, policy)
    return nowMs - failedAtMs
  })
}

describe('back-off', () => {
  test('the first restart is immediate, then the wait doubles from 10 s up to 300 s', () => {
    expect(waits([5, 5, 5, 5, 5, 5, 5, 5])).toEqual([0, 10, 20, 40, 80, 160, 300, 300].map((seconds) => seconds * 1000))
  })

  test('a container that ran for more than ten minutes starts from the beginning', () => {
    expect(waits([5, 5, 5, 600_001, 5])).toEqual([0, 10_000, 20_000, 0, 10_000])
    expect(waits([5, 5, 5, 600_000])).toEqual([0, 10_000, 20_000, 40_000])
  })

  test('a wait is never longer than the maximum, and never shorter than the one before unless it starts anew', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 20 }), (runs) => {
        const seen = waits(runs)
        seen.forEach((wait, index) => {
          expect(wait).toBeLessThanOrEqual(policy.maxMs)
          if (index > 0 && (runs[index] ?? 0) <= 600_000) expect(wait).toBeGreaterThanOrEqual(seen[index - 1] ?? 0)
        })
      }),
    )
  })
})
