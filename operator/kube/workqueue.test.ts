import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { FakeClock, settled } from './fake-clock.ts'
import { createWorkqueue, type Outcome, type Workqueue, type WorkqueueOptions } from './workqueue.ts'

/** A queue whose work is held until the test lets it go. */
function heldQueue(options: Partial<WorkqueueOptions> = {}) {
  const clock = new FakeClock()
  const started: string[] = []
  const held = new Map<string, { finish: (outcome?: Outcome) => void; fail: (error: Error) => void }>()
  const queue = createWorkqueue({
    clock,
    concurrency: 1,
    process: (key) => {
      started.push(key)
      return new Promise<Outcome | undefined>((resolve, reject) => held.set(key, { finish: resolve, fail: reject }))
    },
    ...options,
  })
  const finish = async (key: string, outcome?: Outcome) => {
    held.get(key)?.finish(outcome)
    await settled()
  }
  const fail = async (key: string, error = new Error('no')) => {
    held.get(key)?.fail(error)
    await settled()
  }
  return { clock, started, queue, finish, fail }
}

/** A queue that works at once. */
function quickQueue(process: (key: string, queue: Workqueue) => Outcome | undefined = () => undefined) {
  const clock = new FakeClock()
  const worked: [string, number][] = []
  const queue: Workqueue = createWorkqueue({
    clock,
    process: async (key) => {
      worked.push([key, clock.monotonicMs()])
      return process(key, queue)
    },
  })
  queue.start()
  return { clock, worked, queue }
}

describe('deduplication', () => {
  test('a key that waits is there once', async () => {
    const { queue, started, finish } = heldQueue()
    for (const key of ['a', 'b', 'a', 'b', 'a']) queue.add(key)
    expect(queue.depth).toBe(2)
    queue.start()
    await finish('a')
    await finish('b')
    expect(started).toEqual(['a', 'b'])
  })

  test('a key that is added while it is processed is processed once more, and not before', async () => {
    const { queue, started, finish } = heldQueue({ concurrency: 2 })
    queue.start()
    queue.add('a')
    for (let i = 0; i < 3; i++) queue.add('a')
    await settled()
    expect(started).toEqual(['a'])
    await finish('a')
    await finish('a')
    expect(started).toEqual(['a', 'a'])
  })
})

describe('lanes', () => {
  test('events go before resyncs, and a resync that becomes an event moves up', async () => {
    const { queue, started, finish } = heldQueue()
    queue.add('r1', 'resync')
    queue.add('r2', 'resync')
    queue.add('e1')
    queue.add('r2')
    queue.start()
    for (const key of ['e1', 'r2', 'r1']) await finish(key)
    expect(started).toEqual(['e1', 'r2', 'r1'])
  })

  test('a resync has its turn even when events never end', async () => {
    const { queue, started, finish } = heldQueue()
    queue.add('resync', 'resync')
    queue.add('event')
    queue.start()
    for (let i = 0; i < 40; i++) {
      queue.add('event')
      await finish(started.at(-1) ?? '')
    }
    expect(started.indexOf('resync')).toBe(16)
  })
})

describe('delays', () => {
  test('of several the earliest counts', async () => {
    const { queue, worked, clock } = quickQueue()
    queue.addAfter('a', 500)
    queue.addAfter('a', 200)
    queue.addAfter('a', 900)
    await clock.advance(2000)
    expect(worked).toEqual([['a', 200]])
  })

  test('what a processor asks for is one of them', async () => {
    let first = true
    const { queue, worked, clock } = quickQueue((key, queue) => {
      if (first) queue.addAfter(key, 100)
      const outcome = first ? { requeueAfterMs: 300 } : undefined
      first = false
      return outcome
    })
    queue.add('a')
    await clock.advance(2000)
    expect(worked).toEqual([
      ['a', 0],
      ['a', 100],
    ])
  })
})

describe('failures', () => {
  test('come again later each time, at most the cap, until one works', async () => {
    const clock = new FakeClock(() => 0)
    const at: number[] = []
    const queue = createWorkqueue({
      clock,
      backoff: { baseMs: 100, capMs: 500 },
      process: async () => {
        at.push(clock.monotonicMs())
        if (at.length < 6) throw new Error('no')
      },
    })
    queue.start()
    queue.add('a')
    await clock.advance(10_000)
    expect(at).toEqual([0, 100, 300, 700, 1200, 1700])
    queue.add('a')
    await clock.advance(10_000)
    expect(at).toHaveLength(7)
  })

  test('wait as long as the server asks', async () => {
    const clock = new FakeClock()
    const at: number[] = []
    const queue = createWorkqueue({
      clock,
      process: async () => {
        if (at.push(clock.monotonicMs()) === 1) throw Object.assign(new Error('busy'), { retryAfterMs: 7000 })
      },
    })
    queue.start()
    queue.add('a')
    await clock.advance(20_000)
    expect(at).toEqual([0, 7000])
  })

  test('a processor that throws at once stops nothing', async () => {
    const failures: string[] = []
    const queue = createWorkqueue({
      clock: new FakeClock(),
      onFailure: ({ key }) => failures.push(key),
      process: (key) => {
        if (key === 'a') throw new Error('at once')
        failures.push(`fine ${key}`)
        return Promise.resolve()
      },
    })
    queue.start()
    queue.add('a')
    queue.add('b')
    await settled()
    expect(failures.sort()).toEqual(['a', 'fine b'])
  })
})

describe('stop', () => {
  test('waits for what runs, starts nothing more, and leaves no timer', async () => {
    const { queue, started, finish, clock } = heldQueue()
    queue.start()
    for (const key of ['a', 'b']) queue.add(key)
    queue.addAfter('c', 100)
    let isStopped = false
    const stopped = queue.stop().then(() => (isStopped = true))
    await settled()
    expect(isStopped).toBe(false)
    queue.add('d')
    await finish('a', { requeueAfterMs: 5 })
    await stopped
    await clock.advance(1000)
    expect(started).toEqual(['a'])
    expect(clock.timers).toBe(0)
    expect(queue.depth).toBe(0)
  })
})

type Step =
  | { do: 'add'; key: string; lane: 'event' | 'resync' }
  | { do: 'addAfter'; key: string; delayMs: number }
  | { do: 'advance'; ms: number }

describe('laws', () => {
  const key = fc.constantFrom('a', 'b', 'c')
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant('add' as const), key, lane: fc.constantFrom('event' as const, 'resync' as const) }),
    fc.record({ do: fc.constant('addAfter' as const), key, delayMs: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 200 }) }),
  )

  test('no addition is lost, no key runs twice at once, workers are bounded, and no delay is overslept', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(60),
        async (steps, concurrency, workMs) => {
          const clock = new FakeClock()
          const runs: { key: string; atMs: number }[] = []
          const running = new Set<string>()
          const queue = createWorkqueue({
            clock,
            concurrency,
            process: async (key) => {
              expect(running.has(key)).toBe(false)
              running.add(key)
              expect(running.size).toBeLessThanOrEqual(concurrency)
              runs.push({ key, atMs: clock.monotonicMs() })
              await new Promise<void>((resolve) => clock.after(workMs, resolve))
              running.delete(key)
            },
          })
          queue.start()
          const due: { key: string; fromMs: number; byMs: number }[] = []
          const longestWaitMs = 8 * workMs // At most two other keys and itself are ahead, each at most twice.
          for (const each of steps) {
            const nowMs = clock.monotonicMs()
            if (each.do === 'add') {
              queue.add(each.key, each.lane)
              due.push({ key: each.key, fromMs: nowMs, byMs: nowMs + longestWaitMs })
            } else if (each.do === 'addAfter') {
              queue.addAfter(each.key, each.delayMs)
              due.push({ key: each.key, fromMs: nowMs, byMs: nowMs + each.delayMs + longestWaitMs })
            } else await clock.advance(each.ms)
          }
          await clock.advance(100_000)
          for (const { key, fromMs, byMs } of due) {
            expect(runs.some((run) => run.key === key && run.atMs >= fromMs && run.atMs <= byMs)).toBe(true)
          }
          expect(clock.timers).toBe(0)
          await queue.stop()
        },
      ),
      { numRuns: 150 },
    )
  })
})
