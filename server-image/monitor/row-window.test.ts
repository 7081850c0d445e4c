import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { RowWindow, type WindowOptions } from './row-window.ts'

const options: WindowOptions = { windowMs: 6000, windowRows: 600, sampleRows: 60, random: Math.random }

function observeAll(window: RowWindow<number>, rows: number, nowOf: (row: number) => number): void {
  for (let row = 0; row < rows; row += 1) window.observe(() => row, nowOf(row))
}

describe('a window of rows', () => {
  test('keeps every row while there are few, and each counts 1', () => {
    const window = new RowWindow<number>(options)
    observeAll(window, 10, (row) => row)
    expect(window.sample(10)).toEqual({ rows: [...Array(10).keys()], weights: Array(10).fill(1), seen: 10 })
  })

  test('never keeps more than it may, and its weights add up to the rows that it saw', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ rows: fc.nat(400), passMs: fc.nat(3000) })),
        fc.record({
          windowMs: fc.integer({ min: 1, max: 9000 }),
          windowRows: fc.integer({ min: 6, max: 2000 }),
          sampleRows: fc.integer({ min: 6, max: 200 }),
        }),
        (bursts, limits) => {
          const window = new RowWindow<number>({ ...limits, random: Math.random })
          let now = 0
          for (const { rows, passMs } of bursts) {
            observeAll(window, rows, () => now)
            now += passMs
            const { rows: kept, weights, seen } = window.sample(now)
            expect(kept.length).toBeLessThanOrEqual(limits.sampleRows)
            expect(seen).toBeLessThanOrEqual(limits.windowRows + 6)
            expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(seen, 6)
          }
        },
      ),
    )
  })

  test('keeps all of the first rows, and an even part of them when later ones come', () => {
    const window = new RowWindow<number>(options)
    observeAll(window, 60, () => 0)
    expect(window.sample(0).rows).toHaveLength(60)
    observeAll(window, 55, () => 1000)
    expect(window.sample(1000)).toMatchObject({ seen: 115, rows: { length: 60 } })
    expect(new Set(window.sample(1000).weights)).toEqual(new Set([6, 55 / 50]))
  })

  test('forgets what is older than the window', () => {
    const window = new RowWindow<number>(options)
    observeAll(window, 5, () => 0)
    observeAll(window, 7, () => 5000)
    expect(window.sample(5999).seen).toBe(12)
    expect(window.sample(6000).seen).toBe(7)
    expect(window.sample(11_000).seen).toBe(0)
  })

  test('keeps each row of a pane with the same chance', () => {
    const counts = new Array<number>(100).fill(0)
    for (let round = 0; round < 3000; round += 1) {
      const window = new RowWindow<number>(options)
      observeAll(window, 100, () => 0)
      window.observe(() => -1, 1000)
      const kept = window.sample(1000).rows.filter((row) => row >= 0)
      expect(kept).toHaveLength(10)
      for (const row of kept) counts[row] = (counts[row] ?? 0) + 1
    }
    // 300 times each, with a deviation of 16: six of them are never reached by chance.
    for (const count of counts) expect(Math.abs(count - 300)).toBeLessThan(100)
  })

  test('lets older rows count less when they decay', () => {
    const window = new RowWindow<number>({ ...options, halfLifeMs: 2000 })
    observeAll(window, 1, () => 0)
    observeAll(window, 1, () => 2000)
    expect(window.sample(4000).weights).toEqual([0.25, 0.5])
  })

  test('makes only the rows that it keeps', () => {
    const window = new RowWindow<number>({ ...options, windowRows: 60_000, random: () => 0.999999 })
    let made = 0
    for (let row = 0; row < 1000; row += 1) window.observe(() => (made += 1), 0)
    expect(made).toBe(60)
  })
})
