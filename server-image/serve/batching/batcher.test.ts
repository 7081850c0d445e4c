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

  /** A model that takes a time for a run, and a run of it that was timed. */
  async function timed(msOf: (rows: number) => number, changes: Partial<BatcherOptions<Work, number[]>> = {}) {
    const batches: number[] = []
    const batching = batcher({
      onBatch: (rows) => batches.push(rows),
      compute: async (works) => {
        await delay(msOf(works.flat().length))
        return works.map((work) => [...work])
      },
      ...changes,
    })
    await batching.submit([0])
    batches.length = 0
    return { batching, batches }
  }

  test('tells those who would wait in vain soon, and when to come back, and the model has no less to do', async () => {
    const { batching, batches } = await timed(() => 50, { maxRows: () => 1, deadlineMs: 500 })
    const refused: { error: unknown; batches: number }[] = []
    const jobs = Array.from({ length: 100 }, (_, index) =>
      batching.submit([index]).then(
        () => 'answered',
        (error: unknown) => {
          refused.push({ error, batches: batches.length })
          return codeOf(error)
        },
      ),
    )
    const outcomes = await Promise.all(jobs)
    // A run was not timed at less than 49 ms, so that no more than 11 can be thought to come in time.
    expect(refused.length).toBeGreaterThanOrEqual(89)
    const early = refused.filter(({ error, batches }) => codeOf(error) === 'overloaded' && batches <= 4)
    expect(early.length).toBeGreaterThanOrEqual(89)
    expect(early[0]?.error).toMatchObject({ details: { retryAfterSeconds: 1 } })
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(batches.length)
    expect(outcomes[0]).toBe('answered')
  })

  test('refuses who has less time than those before need, and takes others', async () => {
    const { batching } = await timed(() => 100, { maxRows: () => 1 })
    const patient = [batching.submit([1]), batching.submit([2])]
    const hurried = batching.submit([3], 250).catch(codeOf)
    const last = batching.submit([4], 60_000)
    expect(await Promise.race([hurried, Promise.all(patient)])).toBe('overloaded')
    expect(await Promise.all([...patient, last])).toEqual([[1], [2], [4]])
  })

  test('does not take a run for as many as it has rows', async () => {
    const { batching, batches } = await timed(() => 50, { maxRows: () => 64, deadlineMs: 4_000 })
    const jobs = Array.from({ length: 128 }, (_, index) => batching.submit([index]))
    expect(await Promise.all(jobs)).toHaveLength(128)
    expect(batches).toEqual([64, 64])
  })

  test('does not take a row for as much as a large run', async () => {
    const { batching, batches } = await timed((rows) => 10 * rows, { maxRows: () => 64 })
    await batching.submit(Array.from({ length: 40 }, () => 0))
    const running = batching.submit([1])
    while (batches.length < 2) await new Promise(setImmediate)
    const waiting = batching.submit([2])
    expect(await batching.submit([3], 150).then(String, codeOf)).not.toBe('overloaded')
    expect(await Promise.all([running, waiting])).toEqual([[1], [2]])
  })

  test('takes who finds nobody waiting, however slow the model was', async () => {
    const { batching, batches } = await timed(() => 600, { deadlineMs: 300 })
    expect(await batching.submit([1])).toEqual([1])
    const running = batching.submit([2])
    while (batches.length < 2) await new Promise(setImmediate)
    expect(await batching.submit([3]).catch(codeOf)).toBe('deadline_exceeded')
    expect(await running).toEqual([2])
  })
})
