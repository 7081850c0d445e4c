import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { RunTimes } from './run-times.ts'

const runsOf = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 50 })
const queued = fc.nat({ max: 5000 })

function timesOf(sizes: readonly number[], msOf: (rows: number) => number): RunTimes {
  const times = new RunTimes()
  for (const rows of sizes) times.add(rows, msOf(rows))
  return times
}

describe('times of runs', () => {
  test('expect nothing of a model that was never timed', () => {
    expect(new RunTimes().expectedMs(1000, 1)).toBe(0)
    expect(new RunTimes().msPerRow).toBeUndefined()
  })

  test.each([
    ['a run takes as long, however many its rows are', () => 50],
    ['each row takes its time', (rows: number) => 3 * rows],
  ])('are never expected longer than they are, where %s, whatever the runs before were', (_, msOf) => {
    fc.assert(
      fc.property(runsOf, queued, (sizes, rows) => {
        const runs = [...Array.from({ length: Math.floor(rows / 64) }, () => 64), rows % 64]
        const really = runs.reduce((sum, size) => sum + (size === 0 ? 0 : msOf(size)), 0)
        expect(timesOf(sizes, msOf).expectedMs(rows, 64)).toBeLessThanOrEqual(really + 1e-6)
      }),
    )
  })

  test('are those of the first run at once, and follow when runs become slower or faster', () => {
    const times = timesOf([1], () => 8)
    expect(times.expectedMs(10, 1)).toBeCloseTo(80)
    for (let run = 0; run < 40; run += 1) times.add(1, 100)
    expect(times.expectedMs(10, 1)).toBeCloseTo(1000, -1)
    for (let run = 0; run < 40; run += 1) times.add(1, 2)
    expect(times.msPerRow).toBeCloseTo(2, 1)
  })
})
