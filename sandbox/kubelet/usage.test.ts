import { describe, expect, test } from '@jest/globals'
import { parseStat, secondsOf } from './usage.ts'

describe('usage', () => {
  test('reads a line of /proc, whatever the name of the process', () => {
    const stat =
      '42 (a ) (b c) S 1 40 40 0 -1 4194560 100 0 0 0 150 50 25 25 20 0 11 0 12345 1000000 256 18446744073709551615'
    expect(parseStat(stat)).toEqual({ pid: 42, parent: 1, group: 40, cpuSeconds: 2.5, memoryBytes: 256 * 4096 })
  })

  test.each([
    ['00:01.50', 1.5],
    ['1:02:03', 3723],
    ['2-00:00:01', 172_801],
  ])('%s are %d seconds', (time, seconds) => {
    expect(secondsOf(time)).toBe(seconds)
  })
})
