import { describe, expect, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { Batcher, type BatcherOptions } from './batcher.ts'

type Work = readonly number[]

function batcher(changes: Partial<BatcherOptions<Work, number[]>> = {}): Batcher<Work, number[]> {
  return new Batcher<Work, number[]>({
    maxRows: () => 8,
    maxDelayMs: 0,
    maxQueuedRows: 1000,
    deadlineMs: 60_000,
    rowsOf: (work) => work.length,
    compute: async (works) => works.map((work) => work.map((value) => value * 2)),
    ...changes,
  })
}

function codeOf(error: unknown): string {
  return error instanceof ApiError ? error.code : String(error)
}

describe('a batcher', () => {
  test('gives every job its own result, in batches within the limit, whatever is submitted when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ work: fc.array(fc.integer(), { minLength: 1, maxLength: 12 }), turns: fc.nat({ max: 2 }) }),
        ),
        async (jobs) => {
          const batches: number[] = []
          const batching = batcher({ onBatch: (rows) => batches.push(rows) })
          const results: Promise<number[]>[] = []
          for (const { work, turns } of jobs) {
            for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
            results.push(batching.submit(work))
          }
          expect(await Promise.all(results)).toEqual(jobs.map(({ work }) => work.map((value) => value * 2)))
          expect(batching.queuedRows).toBe(0)
          const largest = Math.max(8, ...jobs.map(({ work }) => work.length))
          expect(batches.every((rows) => rows <= largest)).toBe(true)
        },
      ),
    )
  })

  test('computes what arrives in one turn of the event loop together', async () => {
    const batches: number[] = []
    const batching = batcher({ onBatch: (rows) => batches.push(rows) })
    await Promise.all([1, 2, 3].map((value) => batching.submit([value])))
    expect(batches).toEqual([3])
  })

  test('waits for others when it is told to, but not once a batch is full', async () => {
    const batches: number[] = []
    const batching = batcher({ maxDelayMs: 30, maxRows: () => 2, onBatch: (rows) => batches.push(rows) })
    const first = batching.submit([1])
    await new Promise(setImmediate)
    await Promise.all([first, batching.submit([2])])
    await batching.submit([3])
    expect(batches).toEqual([2, 1])
  })

  test('fails only the jobs on which the model fails', async () => {
    const batching = batcher({
      compute: async (works) => {
        if (works.flat().includes(13)) throw new Error('thirteen\nis not allowed')
        return works.map((work) => [...work])
      },
    })
    const results = await Promise.allSettled([[1], [13], [2, 3]].map((work) => batching.submit(work)))
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : codeOf(result.reason)))).toEqual([
      [1],
      'model_failed',
      [2, 3],
    ])
    expect(results[1]?.status === 'rejected' && (results[1].reason as ApiError).message).toBe(
      'The model failed on this input: thirteen is not allowed',
    )
  })

  test('refuses jobs when its queue is full, but never an empty queue a large one', async () => {
    const batching = batcher({ maxQueuedRows: 3 })
    const large = batching.submit([1, 2, 3, 4, 5])
    await expect(batching.submit([6]).catch(codeOf)).resolves.toBe('overloaded')
    expect(await large).toHaveLength(5)
    expect(await batching.submit([6])).toEqual([12])
  })

  test('tells those who wait too long in time, however long the model is busy, and computes them no more', async () => {
    const computed: number[] = []
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const batching = batcher({
      deadlineMs: 300,
      compute: async (works) => {
        computed.push(...works.flat())
        await gate
        return works.map((work) => [...work])
      },
    })
    const first = batching.submit([1])
    while (computed.length === 0) await new Promise(setImmediate)
    expect(await batching.submit([2]).catch(codeOf)).toBe('deadline_exceeded')
    expect(batching.queuedRows).toBe(0)
    release()
    expect(await first).toEqual([1])
    expect(computed).toEqual([1])
  })

  test('gives each job the time that its client has, in the queue and in the model', async () => {
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const started: number[] = []
    const batching = batcher({
      maxRows: () => 2,
      compute: async (works) => {
        started.push(...works.flat())
        await gate
        return works.map((work) => [...work])
      },
    })
    const patient = batching.submit([1])
    const running = batching.submit([2], 100).catch(codeOf)
    while (started.length === 0) await new Promise(setImmediate)
    const waiting = batching.submit([3])
    const late = batching.submit([4], 50).catch(codeOf)
    expect(await Promise.all([running, late])).toEqual(['deadline_exceeded', 'deadline_exceeded'])
    expect(batching.queuedRows).toBe(1)
    release()
    expect(await Promise.all([patient, waiting])).toEqual([[1], [3]])
    expect(started).toEqual([1, 2, 3])
  })

  /** A model that takes a time for each run, some of which were timed; while `busy`, it computes one job and another one waits. */
  async function busy(runMs: number, changes: Partial<BatcherOptions<Work, number[]>> = {}) {
    const batches: number[] = []
    const batching = batcher({
      maxRows: () => 1,
      onBatch: (rows) => batches.push(rows),
      compute: async (works) => {
        await delay(runMs)
        return works.map((work) => [...work])
      },
      ...changes,
    })
    const before = Array.from({ length: 7 }, (_, index) => batching.submit([index]))
    await Promise.all(before.slice(0, 5))
    return { batching, batches, waiting: Promise.all(before.slice(5)) }
  }

  test('tells those who would wait in vain at once, and the model has no less to do', async () => {
    const { batching, batches, waiting } = await busy(50, { deadlineMs: 5_000 })
    const batchesBefore = batches.length
    const refused: number[] = []
    const jobs = Array.from({ length: 300 }, (_, index) =>
      batching.submit([index]).then(
        () => 'answered',
        (error: unknown) => {
          if (codeOf(error) === 'overloaded') refused.push(batches.length)
          return codeOf(error)
        },
      ),
    )
    await new Promise(setImmediate)
    // No run was timed at less than 49 ms, so that no more than 103 can be thought to come in time.
    expect(refused.length).toBeGreaterThanOrEqual(197)
    expect(Math.max(...refused)).toBe(batchesBefore)
    const outcomes = await Promise.all(jobs)
    await waiting
    expect(outcomes[0]).toBe('answered')
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(batches.length - 7)
  }, 20_000)

  test('refuses who has less time than those before need, and takes others', async () => {
    const { batching, waiting } = await busy(100)
    // Two wait, so that it would be in a batch in time, but not answered.
    const hurried = batching.submit([3], 250)
    const patient = batching.submit([4], 60_000)
    await expect(hurried).rejects.toMatchObject({ code: 'overloaded', details: { mayBeHeldMs: 62.5 } })
    expect(await patient).toEqual([4])
    await waiting
  })

  test('tells when those who wait will be done, and never later than they may wait', async () => {
    const retryAfter = async (deadlineMs: number) => {
      const { batching, waiting } = await busy(100, { deadlineMs })
      const others = Array.from({ length: 15 }, (_, index) => batching.submit([index]).catch(codeOf))
      const refused = batching.submit([3], 150).catch((error: unknown) => (error as ApiError).details.retryAfterSeconds)
      await Promise.all([...others, waiting.catch(codeOf)])
      return refused
    }
    expect(await retryAfter(60_000)).toBeGreaterThanOrEqual(2)
    expect(await retryAfter(1_000)).toBe(1)
  })

  test('judges nobody by runs before a pause', async () => {
    const { batching, waiting } = await busy(100)
    await waiting
    const jobs = [1, 2].map((value) => batching.submit([value]))
    expect(await batching.submit([3], 250).catch(codeOf)).not.toBe('overloaded')
    await Promise.all(jobs)
  })

  test('takes who finds nobody waiting, however long the model is expected to take', async () => {
    const { batching, batches, waiting } = await busy(100)
    while (batches.length < 7) await delay(1)
    expect(batching.queuedRows).toBe(0)
    expect(await batching.submit([1], 50).catch(codeOf)).not.toBe('overloaded')
    await waiting
  })
})
