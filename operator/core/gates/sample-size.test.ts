import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { judgeErrorRate } from './error-rate.ts'
import { alphaPerGate } from './judge.ts'
import { cleanTrialsToPass, moreTrials, trialsToBoundQuantile } from './sample-size.ts'
import { NO_ANSWERS } from './samples.ts'

const TWO_GATES_THREE_STEPS = alphaPerGate(2, { minSamples: 1, steps: 3 })

describe('cleanTrialsToPass', () => {
  test.each([0.01, 0.05, 0.1])(
    'is when the gate passes at maxIncrease %d, and not one request earlier',
    (maxIncrease) => {
      const terms = { alpha: TWO_GATES_THREE_STEPS, minSamples: 1 }
      const trials = cleanTrialsToPass({ maxIncrease, ...terms })
      const after = (ok: number) => {
        const samples = { stable: NO_ANSWERS, candidate: { ...NO_ANSWERS, ok } }
        return judgeErrorRate({ name: 'errors', errorRate: { maxIncrease } }, samples, terms).verdict
      }
      expect([after(trials - 1), after(trials)]).toEqual(['Inconclusive', 'Pass'])
    },
  )

  test('is at least the minimum', () => {
    expect(cleanTrialsToPass({ maxIncrease: 0.5, alpha: 0.01, minSamples: 200 })).toBe(200)
  })

  test('is out of reach when no increase is allowed', () => {
    expect(cleanTrialsToPass({ maxIncrease: 0, alpha: 0.01, minSamples: 200 })).toBe(Infinity)
  })
})

describe('moreTrials', () => {
  test('is the least whole growth that decides', () => {
    expect(moreTrials(7, (scale) => scale * 7 >= 100)).toBe(93)
    expect(moreTrials(7, () => true)).toBe(0)
    expect(moreTrials(900_000, (scale) => scale * 900_000 >= 1_500_000)).toBe(600_000)
  })

  test('is undefined beyond a million', () => {
    expect(moreTrials(7, (scale) => scale * 7 >= 1_000_007)).toBe(1_000_000)
    expect(moreTrials(7, (scale) => scale * 7 >= 1_000_008)).toBeUndefined()
    expect(moreTrials(7, () => false)).toBeUndefined()
  })
})

describe('the table of the decision record', () => {
  test('has the numbers that the code computes', () => {
    const policies: [gates: number, steps: number][] = [
      [1, 1],
      [2, 3],
      [3, 5],
    ]
    const rows = policies.map(([gates, steps]) => {
      const alpha = alphaPerGate(gates, { minSamples: 1, steps })
      const errors = [0.01, 0.05, 0.1].map((maxIncrease) => cleanTrialsToPass({ maxIncrease, alpha, minSamples: 1 }))
      const latencies = [0.5, 0.9, 0.99].map((quantile) => trialsToBoundQuantile({ quantile, alpha }))
      return `| ${[`${gates} x ${steps}`, ...errors, ...latencies].join(' | ')} |`
    })
    const path = join(import.meta.dirname, '../../../docs/decisions/0006-gates-confidence-sequences.md')
    const record = readFileSync(path, 'utf8')
    for (const row of rows) expect(record).toContain(row)
  })
})
