import { describe, expect, test } from '@jest/globals'
import { count } from './prober.ts'
import type { Streak } from './prober.ts'

function verdicts(results: string, thresholds: { successThreshold?: number; failureThreshold?: number }): string {
  let streak: Streak | undefined
  return [...results]
    .map((result) => {
      const counted = count(streak, result === '+', thresholds)
      streak = counted.streak
      return counted.verdict === undefined ? '.' : counted.verdict ? 'Y' : 'N'
    })
    .join('')
}

describe('probe thresholds', () => {
  test.each([
    ['+', {}, 'Y'],
    ['---', {}, '..N'],
    ['--+---', {}, '..Y..N'],
    ['-', { failureThreshold: 1 }, 'N'],
    ['++-++', { successThreshold: 2, failureThreshold: 2 }, '.Y..Y'],
    ['----', {}, '..NN'],
  ])('%s with %j says %s', (results, thresholds, said) => {
    expect(verdicts(results, thresholds)).toBe(said)
  })
})
