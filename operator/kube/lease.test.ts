import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createClient } from './client.ts'
import type { Clock } from './clock.ts'
import { ApiError, TransportError } from './errors.ts'
import { FakeClock } from './fake-clock.ts'
import { createElection, type Election, type ElectionOptions } from './lease.ts'
import type { Call, Transport } from './transport.ts'

interface StoredLease {
  metadata: { name: string; namespace: string; resourceVersion: string }
  spec: {
    holderIdentity?: string
    leaseTransitions?: number
    leaseDurationSeconds?: number
    renewTime?: string
    acquireTime?: string
  }
}

/** A server that keeps one Lease and checks resourceVersions. */
class LeaseServer {
  lease: StoredLease | undefined
  #version = 0

  answer(call: Call): unknown {
    const sent = call.body as StoredLease | undefined
    if (call.method === 'GET') {
      if (this.lease === undefined) throw refusal(404, 'NotFound')
      return structuredClone(this.lease)
    }
    if (call.method === 'POST' && this.lease !== undefined) throw refusal(409, 'AlreadyExists')
    if (call.method === 'PUT' && sent?.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) {
      throw refusal(409, 'Conflict')
    }
    const metadata = { name: 'l', namespace: 'ns', resourceVersion: String(++this.#version) }
    this.lease = { spec: structuredClone(sent?.spec ?? {}), metadata }
    return structuredClone(this.lease)
  }
}

function refusal(code: number, reason: string): ApiError {
  return new ApiError({ code, reason, message: reason, causes: [] })
}

/** What the way to the server does to one call. */
interface Weather {
  readonly delayMs: number
  /** Writes: the server refuses them, for want of rights. */
  readonly lose: 'nothing' | 'request' | 'answer' | 'writes'
}
const FAIR: Weather = { delayMs: 0, lose: 'nothing' }

function transportThrough(server: LeaseServer, clock: Clock, weather: () => Weather): Transport {
  const wait = (ms: number) => (ms === 0 ? Promise.resolve() : new Promise<void>((resolve) => clock.after(ms, resolve)))
  const late = (ms: number) =>
    wait(ms).then(() => {
      throw new TransportError('deadline', 'too slow')
    })
  return {
    async json(call) {
      const { delayMs, lose } = weather()
      const timeoutMs = call.timeoutMs ?? 1000
      if (lose === 'request') return late(timeoutMs)
      if (delayMs >= timeoutMs) {
        void wait(delayMs).then(() => quietly(() => server.answer(call))) // It arrives when nobody waits for it any more.
        return late(timeoutMs)
      }
      await wait(delayMs / 2)
      if (lose === 'writes' && call.method !== 'GET') throw refusal(403, 'Forbidden')
      const answer = server.answer(call)
      if (lose === 'answer') return late(timeoutMs - delayMs / 2)
      await wait(delayMs / 2)
      return answer
    },
    stream: () => Promise.reject(new Error('not in this test')),
    close() {},
  }
}

function quietly(act: () => unknown): void {
  try {
    act()
  } catch {
    // Nobody hears the answer.
  }
}

interface Candidate {
  readonly election: Election
  readonly log: string[]
  weather: Weather
}

function candidate(
  server: LeaseServer,
  clock: Clock,
  identity: string,
  options: Partial<ElectionOptions> = {},
): Candidate {
  const log: string[] = []
  const self: Candidate = {
    log,
    weather: FAIR,
    election: createElection({
      client: createClient(transportThrough(server, clock, () => self.weather)),
      lease: { namespace: 'ns', name: 'l' },
      identity,
      clock,
      onElected: () => log.push('elected'),
      onLost: () => log.push('lost'),
      ...options,
    }),
  }
  return self
}

describe('an election', () => {
  test('makes one candidate the leader, at once, and the record says who', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const [a, b] = [candidate(server, clock, 'a'), candidate(server, clock, 'b')]
    a.election.start()
    await clock.advance(0)
    b.election.start()
    await clock.advance(60_000)
    expect(a.log).toEqual(['elected'])
    expect(b.log).toEqual([])
    expect(a.election.isLeader()).toBe(true)
    expect(b.election.isLeader()).toBe(false)
    expect(b.election.holder()).toBe('a')
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 })
    expect(server.lease?.spec.renewTime).toMatch(/^2026-01-01T00:0[01]:\d\d\.\d{6}Z$/)
    await Promise.all([a.election.stop(), b.election.stop()])
    expect(clock.timers).toBe(0)
  })

  test('a leader that stops gives the lease away: the next one need not wait for its end', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const [a, b] = [candidate(server, clock, 'a'), candidate(server, clock, 'b')]
    a.election.start()
    await clock.advance(0)
    b.election.start()
    await clock.advance(10_000)
    await a.election.stop()
    expect(a.log).toEqual(['elected'])
    await clock.advance(4_400)
    expect(b.log).toEqual(['elected'])
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 2 - 1 })
    await b.election.stop()
  })

  test('a leader that is cut off stops after the renew deadline, before the next one begins', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const [a, b] = [candidate(server, clock, 'a'), candidate(server, clock, 'b')]
    a.election.start()
    await clock.advance(0)
    b.election.start()
    await clock.advance(20_500)
    a.weather = { delayMs: 0, lose: 'request' }
    await clock.advance(10_000)
    expect(a.log).toEqual(['elected', 'lost'])
    expect(b.log).toEqual([])
    await clock.advance(10_000)
    expect(b.log).toEqual(['elected'])
    a.weather = FAIR
    await clock.advance(30_000)
    expect(a.election.isLeader()).toBe(false)
    expect(a.election.holder()).toBe('b')
    await Promise.all([a.election.stop(), b.election.stop()])
  })

  test('a leader whose machine slept is no leader when it wakes, before it has asked anybody', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const a = candidate(server, clock, 'a')
    a.election.start()
    await clock.advance(5_000)
    expect(a.election.isLeader()).toBe(true)
    clock.wallSkewMs += 3_600_000
    expect(a.election.isLeader()).toBe(false)
    await a.election.stop()
  })

  test('candidates that could lead are in touch with the lease, whoever holds it', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const [a, b] = [candidate(server, clock, 'a'), candidate(server, clock, 'b')]
    expect(a.election.isInTouch()).toBe(false)
    a.election.start()
    await clock.advance(0)
    b.election.start()
    for (let second = 0; second < 60; second += 1) {
      await clock.advance(1_000)
      expect([a.election.isInTouch(), b.election.isInTouch()]).toEqual([true, true])
    }
    b.weather = { delayMs: 0, lose: 'request' }
    await clock.advance(20_000)
    expect([a.election.isInTouch(), b.election.isInTouch()]).toEqual([true, false])
    b.weather = FAIR
    await clock.advance(10_000)
    expect(b.election.isInTouch()).toBe(true)
    await Promise.all([a.election.stop(), b.election.stop()])
  })

  test('a candidate that may not write the lease is not in touch with it, unless somebody else holds it', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    const [a, b] = [candidate(server, clock, 'a'), candidate(server, clock, 'b')]
    b.weather = { delayMs: 0, lose: 'writes' }
    b.election.start()
    await clock.advance(30_000)
    expect(b.election.isInTouch()).toBe(false)
    a.election.start()
    await clock.advance(10_000)
    expect(b.election.isInTouch()).toBe(true)
    await a.election.stop()
    await clock.advance(30_000)
    expect(b.election.isInTouch()).toBe(false)
    await b.election.stop()
  })

  test('a candidate never trusts the time that the holder wrote', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()]
    server.lease = {
      metadata: { name: 'l', namespace: 'ns', resourceVersion: 'x' },
      spec: {
        holderIdentity: 'old',
        leaseDurationSeconds: 15,
        leaseTransitions: 4,
        renewTime: '2001-01-01T00:00:00.000000Z',
      },
    }
    const a = candidate(server, clock, 'a')
    a.election.start()
    await clock.advance(14_900)
    expect(a.log).toEqual([])
    await clock.advance(4_600)
    expect(a.log).toEqual(['elected'])
    expect(server.lease.spec.leaseTransitions).toBe(5)
    await a.election.stop()
  })

  test('periods that leave no room for a renewal are refused', () => {
    const make = (options: Partial<ElectionOptions>) => () =>
      candidate(new LeaseServer(), new FakeClock(), 'a', options)
    expect(make({ leaseMs: 10_000, renewDeadlineMs: 10_000 })).toThrow('leaseMs must be greater than renewDeadlineMs')
    expect(make({ renewDeadlineMs: 2_000 })).toThrow('renewDeadlineMs must be greater than 1.2 * retryMs')
  })
})

describe('laws', () => {
  /** The same time, running faster or slower. */
  function drifting(clock: FakeClock, rate: number): Clock {
    return {
      monotonicMs: () => clock.monotonicMs() * rate,
      wallTime: () => new Date(clock.wallTime().getTime() * rate + rate * 1e9),
      after: (ms, callback) => clock.after(ms / rate, callback),
      random: () => clock.random(),
    }
  }

  test('never two leaders, whatever the network does, with clocks that disagree and drift; and in fair weather there is one', async () => {
    const weather: fc.Arbitrary<Weather> = fc.record({
      delayMs: fc.constantFrom(0, 0, 50, 900, 4_000, 6_000, 12_000),
      lose: fc.constantFrom('nothing' as const, 'nothing' as const, 'request' as const, 'answer' as const),
    })
    const phase = fc.record({
      forMs: fc.integer({ min: 100, max: 20_000 }),
      weathers: fc.tuple(weather, weather, weather),
      restart: fc.option(fc.nat(2), { freq: 6 }),
    })
    const rates = fc.tuple(...[0, 1, 2].map(() => fc.double({ min: 0.9, max: 1.1, noNaN: true })))
    await fc.assert(
      fc.asyncProperty(
        fc.array(phase, { minLength: 1, maxLength: 12 }),
        rates,
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (phases, rates, chance) => {
          const clock = new FakeClock(() => Number(chance.next().value))
          const server = new LeaseServer()
          const make = (index: number, generation: number) =>
            candidate(server, drifting(clock, rates[index] ?? 1), `${index}-${generation}`)
          const candidates = [make(0, 0), make(1, 0), make(2, 0)]
          const leaders = () => candidates.filter((each) => each.election.isLeader()).length
          const pass = async (ms: number) => {
            for (let passed = 0; passed < ms; passed += 250) {
              await clock.advance(250)
              expect(leaders()).toBeLessThanOrEqual(1)
            }
          }
          for (const each of candidates) each.election.start()
          const stopping: Promise<void>[] = []
          for (const [generation, { forMs, weathers, restart }] of phases.entries()) {
            candidates.forEach((each, index) => (each.weather = weathers[index] ?? FAIR))
            const leaving = restart === null ? undefined : candidates[restart]
            if (leaving !== undefined && restart !== null) {
              stopping.push(leaving.election.stop())
              candidates[restart] = make(restart, generation + 1)
              candidates[restart].election.start()
            }
            await pass(forMs)
          }
          for (const each of candidates) each.weather = FAIR
          await pass(60_000)
          expect(leaders()).toBe(1)
          const ended = Promise.all([...stopping, ...candidates.map((each) => each.election.stop())])
          await clock.advance(30_000)
          await ended
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)
})
