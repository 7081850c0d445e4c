import { describe, expect, test } from '@jest/globals'
import { Pace } from './pace.ts'

function paceOf({ leastMs = 800, runMs = 0, answers = [] as number[] }): Pace {
  const pace = new Pace(leastMs)
  if (runMs > 0) pace.runs(runMs)
  for (const durationMs of answers) pace.answered(durationMs)
  return pace
}

describe('a peer’s time', () => {
  test.each([
    ['at the start is the least', {}, 800, 800],
    ['is the least for a quick model', { runMs: 2, answers: [1, 2, 3] }, 800, 800],
    ['follows what the model needs', { runMs: 1_000 }, 4_000, 4_000],
    ['has an end however slow the model is', { runMs: 60_000 }, 10_000, 30_000],
    ['is not much more for one slow answer', { runMs: 2, answers: [7_000] }, 2_807, 2_807],
    ['is lengthened a little by our own queue', { answers: Array<number>(200).fill(5_000) }, 3_200, 20_000],
    ['is never endless', { answers: Array<number>(200).fill(1e9) }, 3_200, 30_000],
  ])('%s', (_title, how, budgetMs, patientMs) => {
    const pace = paceOf(how)
    expect(Math.round(pace.budgetMs)).toBe(budgetMs)
    expect(Math.round(pace.patientMs)).toBe(patientMs)
  })

  test('is the least again when our queue is empty again', () => {
    const pace = paceOf({ answers: [...Array<number>(50).fill(5_000), ...Array<number>(100).fill(5)] })
    expect(pace.budgetMs).toBe(800)
  })
})
