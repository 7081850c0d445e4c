import { describe, expect, test } from '@jest/globals'
import { createClient } from './client.ts'
import { ApiError, TransportError } from './errors.ts'
import { createEventRecorder, type EventRecorderOptions, type Happening } from './events.ts'
import { FakeClock, settled } from './fake-clock.ts'
import type { Call, Transport } from './transport.ts'

const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'ns', name: 'p', uid: 'u', resourceVersion: '3' } }
const HAPPENING: Happening = { type: 'Warning', reason: 'RolledBack', action: 'Rollback', note: 'error rate 4 %' }

function recorder(options: Partial<EventRecorderOptions> = {}) {
  const clock = new FakeClock()
  const calls: Call[] = []
  const faults: Error[] = []
  let isStuck = false
  const transport: Transport = {
    async json(call) {
      calls.push(call)
      const fault = faults.shift()
      if (fault !== undefined) throw fault
      if (isStuck) {
        await new Promise((_, reject) =>
          call.signal?.addEventListener('abort', () => reject(new TransportError('aborted', 'given up'))),
        )
      }
      return call.body
    },
    stream: () => Promise.reject(new Error('not in this test')),
    close() {},
  }
  const events = createEventRecorder({
    client: createClient(transport),
    controller: 'example.dev/c',
    instance: 'host',
    clock,
    ...options,
  })
  return { clock, calls, faults, events, getStuck: () => (isStuck = true) }
}

function refusal(code: number): ApiError {
  return new ApiError({ code, reason: 'x', message: 'x', causes: [] })
}

describe('an event', () => {
  test('is written whole', async () => {
    const { calls, events } = recorder()
    events.record(POD, HAPPENING)
    await settled()
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({ method: 'POST', path: '/apis/events.k8s.io/v1/namespaces/ns/events' })
    expect(calls[0]?.body).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: expect.stringMatching(/^p\.[0-9a-f]+$/), namespace: 'ns' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'example.dev/c',
      reportingInstance: 'host',
      ...HAPPENING,
      regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u', resourceVersion: '3' },
    })
    await events.close()
  })

  test('about a thing of the cluster goes to the namespace default', async () => {
    const { calls, events } = recorder()
    events.record({ kind: 'Node', metadata: { name: 'n', uid: 'n' } }, HAPPENING)
    await settled()
    expect(calls[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events')
    await events.close()
  })

  test('has a note of at most 1,024 bytes, with whole characters', async () => {
    const { calls, events } = recorder()
    events.record(POD, { ...HAPPENING, note: 'ü'.repeat(2000) })
    await settled()
    const { note } = calls[0]?.body as Happening
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024)
    expect(note).toMatch(/^ü+\.\.\.$/)
    await events.close()
  })
})

describe('repetitions', () => {
  test('become a series, which is written now and then', async () => {
    const { calls, events, clock } = recorder()
    for (let i = 0; i < 30; i++) {
      events.record(POD, HAPPENING)
      await clock.advance(1000)
    }
    expect(calls.map((each) => each.method)).toEqual(['POST', 'PATCH', 'PATCH'])
    expect(calls[1]?.body).toMatchObject({ series: { count: 11 } })
    await events.close()
    expect(calls).toHaveLength(4)
    expect(calls.at(-1)?.body).toMatchObject({ series: { count: 30 } })
    expect(clock.timers).toBe(0)
  })

  test('that are written already are not written again at the end', async () => {
    const { calls, events, clock } = recorder()
    for (let i = 0; i < 2; i++) events.record(POD, HAPPENING)
    events.record(POD, HAPPENING)
    await clock.advance(20_000)
    const written = calls.length
    await events.close()
    expect(calls).toHaveLength(written)
  })

  test('that come while the first is on its way are written before the end', async () => {
    const { calls, events } = recorder()
    for (let i = 0; i < 4; i++) events.record(POD, HAPPENING)
    await events.close()
    expect(calls).toHaveLength(2)
    expect(calls[1]?.body).toMatchObject({ series: { count: 4 } })
  })

  test('after a pause it is a new event', async () => {
    const { calls, events, clock } = recorder()
    events.record(POD, HAPPENING)
    await clock.advance(360_000)
    events.record(POD, HAPPENING)
    await settled()
    expect(calls.map((each) => each.method)).toEqual(['POST', 'POST'])
    await events.close()
  })
})

describe('what cannot be written', () => {
  test('is tried again when it may pass', async () => {
    const { calls, events, clock, faults } = recorder()
    faults.push(refusal(503), new TransportError('connection', 'reset'))
    events.record(POD, HAPPENING)
    await clock.advance(60_000)
    expect(calls).toHaveLength(3)
    expect(events.dropped).toBe(0)
    await events.close()
  })

  test('is dropped when it will not, and others follow', async () => {
    const { calls, events, faults } = recorder()
    faults.push(refusal(403))
    events.record(POD, HAPPENING)
    events.record(POD, { ...HAPPENING, note: 'another' })
    await settled()
    expect(calls).toHaveLength(2)
    expect(events.dropped).toBe(1)
    await events.close()
  })

  test('has a budget for each object', async () => {
    const { calls, events, clock } = recorder({ budget: { burst: 3, refillMs: 1000 } })
    for (let i = 0; i < 10; i++) events.record(POD, { ...HAPPENING, note: String(i) })
    events.record({ ...POD, metadata: { ...POD.metadata, uid: 'other' } }, HAPPENING)
    await settled()
    expect(calls).toHaveLength(4)
    expect(events.dropped).toBe(7)
    await clock.advance(1000)
    events.record(POD, { ...HAPPENING, note: 'later' })
    await settled()
    expect(calls).toHaveLength(5)
    await events.close()
  })

  test('does not keep the process from ending', async () => {
    const { events, clock, getStuck } = recorder()
    getStuck()
    for (let i = 0; i < 5; i++) events.record(POD, { ...HAPPENING, note: String(i) })
    const closed = events.close(500)
    await clock.advance(500)
    await closed
    expect(events.dropped).toBe(5)
    expect(clock.timers).toBe(0)
  })

  test('nonsense does not throw', async () => {
    const { events } = recorder()
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    expect(() => events.record({ metadata: cycle }, { ...HAPPENING, note: undefined as never })).not.toThrow()
    expect(events.dropped).toBe(1)
    await events.close()
  })
})
