import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { WaitingJobs, type Waiting } from './waiting-jobs.ts'

const job = fc.record({ rows: fc.integer({ min: 1, max: 30 }), waitsUntil: fc.nat(100) })
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ add: job }) },
  { weight: 2, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ removeUntil: fc.nat(100) }) },
)

describe('jobs that wait', () => {
  test('are counted as they are, whatever came, was taken or was removed, and for whatever size of batch', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (steps, maxRows) => {
        const jobs = new WaitingJobs<Waiting>()
        let model: Waiting[] = []
        for (const each of steps) {
          if ('add' in each) {
            jobs.add(each.add)
            model.push(each.add)
          } else if ('take' in each) {
            const batch = jobs.take(each.take)
            expect(batch).toEqual(model.slice(0, batch.length))
            expect(batch.length).toBeGreaterThanOrEqual(Math.min(1, model.length))
            if (batch.length > 1) expect(rowsOf(batch)).toBeLessThanOrEqual(each.take)
            model = model.slice(batch.length)
          } else {
            const isSo = ({ waitsUntil }: Waiting) => waitsUntil <= each.removeUntil
            expect(jobs.remove(isSo)).toEqual(model.filter(isSo))
            model = model.filter((one) => !isSo(one))
          }
          const small = model.filter(({ rows }) => rows < maxRows)
          const whole = model.length - small.length
          expect(jobs.count).toBe(model.length)
          expect(jobs.rows).toBe(rowsOf(model))
          expect(jobs.backlog(maxRows)).toEqual({
            rows: rowsOf(model),
            batches: whole + Math.ceil(rowsOf(small) / maxRows),
          })
          expect(jobs.fullBatches(maxRows)).toEqual({
            rows: rowsOf(model) - (rowsOf(small) % maxRows),
            batches: whole + Math.floor(rowsOf(small) / maxRows),
          })
          for (const { waitsUntil } of model) {
            expect(jobs.soonest).toBeLessThanOrEqual(waitsUntil)
            expect(jobs.latest).toBeGreaterThanOrEqual(waitsUntil)
          }
          if (model.length === 0) expect([jobs.soonest, jobs.latest]).toEqual([Infinity, -Infinity])
        }
      }),
    )
  })
})

function rowsOf(jobs: readonly Waiting[]): number {
  return jobs.reduce((sum, { rows }) => sum + rows, 0)
}
