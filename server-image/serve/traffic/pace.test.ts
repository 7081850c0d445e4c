import { expect, test } from '@jest/globals'
import { Pace } from './pace.ts'

test('a peer of a quick model has the least time, one of a slow model several times our own', () => {
  const pace = new Pace(800)
  expect(pace.budgetMs).toBe(800)
  pace.answered(0.1)
  expect(pace.budgetMs).toBe(800)
  for (let answers = 0; answers < 200; answers += 1) pace.answered(1000)
  expect(pace.budgetMs).toBeGreaterThan(3900)
  expect(pace.budgetMs).toBeLessThanOrEqual(4000)
})

test('one slow answer among quick ones changes little, and nobody waits for ever', () => {
  const pace = new Pace(800)
  for (let answers = 0; answers < 100; answers += 1) pace.answered(1)
  pace.answered(2000)
  expect(pace.budgetMs).toBe(800)
  for (let answers = 0; answers < 500; answers += 1) pace.answered(60_000)
  expect(pace.budgetMs).toBe(30_000)
})
