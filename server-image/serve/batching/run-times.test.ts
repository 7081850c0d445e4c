import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { RunTimes } from './run-times.ts'

const sizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 8, maxLength: 50 })
const queued = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 50 })

function timesOf(rowsOfRuns: readonly number[], msOf: (rows: number) => number): RunTimes {
  const times = new RunTimes()
  for (const rows of rowsOfRuns) times.add(rows, msOf(rows))
  return times
}

describe('times of runs', () => {
  test.each([0, 1, 7])('tell nothing after %d runs', (runs) => {
    const times = timesOf(Array<number>(runs).fill(1), () => 5000)
    expect(times.expectedMs(1000, 1000)).toBe(0)
  })

  test.each([
    ['a run takes as long, however many its rows are', () => 50],
    ['each row takes its time', (rows: number) => 3 * rows],
  ])('are never expected longer than they are, where %s, whatever the runs before were', (_, msOf) => {
    fc.assert(
      fc.property(sizes, queued, (before, runs) => {
        const really = runs.reduce((sum, rows) => sum + msOf(rows), 0)
        const rows = runs.reduce((sum, each) => sum + each, 0)
        expect(timesOf(before, msOf).expectedMs(rows, runs.length)).toBeLessThanOrEqual(really + 1e-6)
      }),
    )
  })

  test('are right for runs of one size, whatever a run and a row take', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(10), fc.integer({ min: 1, max: 64 }), fc.nat(100), (run, row, rows, runs) => {
        const times = timesOf(Array<number>(8).fill(rows), (each) => run + row * each)
        expect(times.expectedMs(rows * runs, runs)).toBeCloseTo(runs * (run + row * rows))
      }),
    )
  })

  test('are not those of runs that were held up, be they most of the last', () => {
    const times = timesOf([5, 300, 7, 300, 300, 5000, 300, 300], (ms) => ms)
    expect(times.expectedMs(1000, 1)).toBe(7)
  })

  test('are those of the last runs alone, and none after they were forgotten', () => {
    const times = timesOf(Array<number>(40).fill(1), () => 10)
    for (let run = 0; run < 14; run += 1) times.add(1, 100)
    expect(times.expectedMs(10, 10)).toBe(100)
    times.add(1, 100)
    expect(times.expectedMs(10, 10)).toBe(1000)
    times.forget()
    expect(times.expectedMs(10, 10)).toBe(0)
  })
})
