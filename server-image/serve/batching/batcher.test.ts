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
    const gate = Promise.withResolvers<void>()
    const batching = batcher({
      deadlineMs: 1_000,
      compute: async (works) => {
        computed.push(...works.flat())
        await gate.promise
        return works.map((work) => [...work])
      },
    })
    const first = batching.submit([1])
    while (computed.length === 0) await new Promise(setImmediate)
    expect(await batching.submit([2]).catch(codeOf)).toBe('deadline_exceeded')
    expect(batching.queuedRows).toBe(0)
    gate.resolve()
    expect(await first).toEqual([1])
    expect(computed).toEqual([1])
  })

  test('gives each job the time that its client has, in the queue and in the model', async () => {
    const gate = Promise.withResolvers<void>()
    const started: number[] = []
    const batching = batcher({
      maxRows: () => 2,
      compute: async (works) => {
        started.push(...works.flat())
        await gate.promise
        return works.map((work) => [...work])
      },
    })
    const patient = batching.submit([1])
    const running = batching.submit([2], 1_000).catch(codeOf)
    while (started.length === 0) await new Promise(setImmediate)
    const waiting = batching.submit([3])
    const late = batching.submit([4], 500).catch(codeOf)
    expect(await Promise.all([running, late])).toEqual(['deadline_exceeded', 'deadline_exceeded'])
    expect(batching.queuedRows).toBe(1)
    gate.resolve()
    expect(await Promise.all([patient, waiting])).toEqual([[1], [3]])
    expect(started).toEqual([1, 2, 3])
  })

  /** A model that takes a time for each run, until it is let go; eight runs were timed, and two jobs wait. */
  async function busy(runMs: number, changes: Partial<BatcherOptions<Work, number[]>> = {}) {
    const computed: number[] = []
    let runs = (): Promise<unknown> => delay(runMs)
    const batching = batcher({
      maxRows: () => 1,
      compute: async (works) => {
        computed.push(...works.flat())
        await runs()
        return works.map((work) => [...work])
      },
      ...changes,
    })
    const before = Array.from({ length: 10 }, (_, index) => batching.submit([index]))
    const waiting = Promise.allSettled(before.slice(8))
    await Promise.all(before.slice(0, 8))
    const takeAsLongAs = (run: Promise<unknown>): void => void (runs = () => run)
    const letGo = (): void => takeAsLongAs(Promise.resolve())
    return { batching, computed, waiting, letGo, takeAsLongAs }
  }

  test('tells those who would wait in vain at once, and the model has no less to do', async () => {
    const { batching, computed, waiting } = await busy(20, { deadlineMs: 2_000 })
    const computedBefore = computed.length
    const refused: number[] = []
    const jobs = Array.from({ length: 300 }, (_, index) =>
      batching.submit([index]).then(
        () => 'answered',
        (error: unknown) => {
          if (codeOf(error) === 'overloaded') refused.push(computed.length)
          return codeOf(error)
        },
      ),
    )
    await new Promise(setImmediate)
    // No run was timed at less than 19 ms, so that no more than 107 can be thought to come in time.
    expect(refused.length).toBeGreaterThanOrEqual(193)
    expect(Math.max(...refused)).toBe(computedBefore)
    const answered = (await Promise.all(jobs)).filter((outcome) => outcome === 'answered')
    expect(answered.length).toBeGreaterThan(0)
    const others = (await waiting).filter(({ status }) => status === 'fulfilled')
    expect(8 + others.length + answered.length).toBe(computed.length)
  })

  test('refuses who has less time than those before need, and takes others', async () => {
    const { batching, waiting, letGo } = await busy(100)
    // Two wait, so that it would be in a batch in time, but not answered.
    const hurried = batching.submit([3], 250)
    const patient = batching.submit([4], 60_000)
    await expect(hurried).rejects.toMatchObject({ code: 'overloaded', details: { mayBeHeldMs: 62.5 } })
    letGo()
    expect(await patient).toEqual([4])
    await waiting
  })

  test('tells when those who wait will be done, and never later than they may wait', async () => {
    const retryAfter = async (deadlineMs: number) => {
      const { batching, waiting, letGo } = await busy(100, { deadlineMs })
      const others = Array.from({ length: 60 }, (_, index) => batching.submit([index]))
      const refused = batching.submit([3], 150).catch((error: unknown) => (error as ApiError).details.retryAfterSeconds)
      letGo()
      await Promise.allSettled([...others, waiting])
      return refused
    }
    expect(await retryAfter(60_000)).toBeGreaterThanOrEqual(6)
    expect(await retryAfter(3_000)).toBe(3)
  })

  test('does not take those for before who give up soon', async () => {
    const batching = batcher({ maxRows: () => 1, compute: (works) => delay(10, works as number[][]) })
    const jobs = Array.from({ length: 500 }, (_, index) => batching.submit([index], 1_000))
    const all = Promise.allSettled(jobs)
    await jobs[10]?.catch(codeOf)
    expect(await batching.submit([1], 3_000).catch(codeOf)).not.toBe('overloaded')
    await all
  })

  test('counts those who wait in batches of the size that they are now', async () => {
    let size = 1
    const batching = batcher({ maxRows: () => size, compute: (works) => delay(20, works as number[][]) })
    const jobs = Array.from({ length: 600 }, (_, index) => batching.submit([index]))
    await jobs[20]
    size = 64
    expect(await batching.submit([1], 5_000)).toEqual([1])
    await Promise.all(jobs)
  })

  test('judges nobody by runs before a pause', async () => {
    const { batching, waiting } = await busy(100)
    await waiting
    await delay(1_100)
    const jobs = [1, 2].map((value) => batching.submit([value]))
    expect(await batching.submit([3], 250).catch(codeOf)).not.toBe('overloaded')
    await Promise.all(jobs)
  })

  test('takes who finds nobody waiting, however long the model is expected to take', async () => {
    const { batching, waiting } = await busy(100)
    while (batching.queuedRows > 0) await delay(1)
    expect(await batching.submit([1], 50).catch(codeOf)).not.toBe('overloaded')
    await waiting
  })

  test('does not compute for who will have given up, where another waits', async () => {
    const { batching, computed, waiting, takeAsLongAs, letGo } = await busy(100)
    await waiting
    const run = Promise.withResolvers<void>()
    takeAsLongAs(run.promise)
    const running = batching.submit([-1])
    while (!computed.includes(-1)) await new Promise(setImmediate)
    const hurried = batching.submit([-2], 150).catch(codeOf)
    const patient = batching.submit([-3])
    await delay(60)
    letGo()
    run.resolve()
    expect(await hurried).toBe('deadline_exceeded')
    expect(await Promise.all([running, patient])).toEqual([[-1], [-3]])
    expect(computed).not.toContain(-2)
  })

  test('computes for who may have given up, where nobody else waits', async () => {
    const { batching, computed, waiting } = await busy(100)
    await waiting
    // In time, unless this process was held up.
    for (let attempt = 0; attempt < 50 && !computed.includes(-1); attempt += 1)
      await batching.submit([-1], 60).catch(codeOf)
    expect(computed).toContain(-1)
  })
})
