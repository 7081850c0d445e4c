import type { RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { REVISION_HEADER } from '../../../protocol/headers.ts'
import { eventually } from '../testing.ts'
import { ask, closeAll, countsOf, goodAnswer, listening, none, own, peer, plan, request, traffic } from './testing.ts'

afterEach(closeAll)

describe('a bad peer', () => {
  const hanging: RequestListener = () => undefined
  const silent = 'no answer within 100 ms'
  const kinds: [string, () => Promise<string>, string | RegExp][] = [
    ['is not there', async () => '127.0.0.1:1', /ECONNREFUSED/],
    ['hangs', () => peer(hanging), silent],
    [
      'begins an answer and stops',
      () => peer((_request, response) => void response.writeHead(200, { [REVISION_HEADER]: 'next' }).write('half')),
      silent,
    ],
    ['closes the connection', () => peer((incoming) => void incoming.socket.destroy()), /closed|ECONNRESET/],
    ['fails', () => peer(failing(500, { error: { message: 'it broke' } })), '500 it broke'],
    ['fails in V2', () => peer(failing(503, { error: 'not loaded' })), '503 not loaded'],
    ['refuses', () => peer(failing(422, { error: { message: 'too few' } })), '422 too few'],
    ['fails without words', () => peer(failing(502, 'x')), /^502/],
    [
      'is no Penstock server',
      () => peer((_request, response) => void response.end('<html>')),
      '200 from something that is no Penstock server',
    ],
    [
      'speaks no HTTP',
      () => listening(createTcpServer((socket) => void socket.end('garbage\r\n\r\n').on('error', () => undefined))),
      /./,
    ],
    [
      'promises more than it sends',
      () =>
        peer((incoming, response) => {
          response.writeHead(200, { [REVISION_HEADER]: 'next', 'content-length': '100' }).write('half')
          setImmediate(() => incoming.socket.destroy())
        }),
      /./,
    ],
  ]

  function failing(status: number, body: unknown): RequestListener {
    return (_request, response) =>
      void response.writeHead(status, { [REVISION_HEADER]: 'next' }).end(JSON.stringify(body))
  }

  test.each(kinds)(
    'that %s costs the user nothing but time, and is counted with its reason',
    async (_kind, start, reason) => {
      const subject = traffic({ relayTimeoutMs: reason === silent ? 100 : 20_000 })
      subject.follow(plan(await start()))
      expect((await ask(subject)).body).toBe('from us')
      const { next, own: ours } = subject.answers()
      expect(countsOf(next)).toEqual({ ...none, error: 1 })
      expect(next?.errorSamples[0]?.message).toMatch(reason)
      expect(countsOf(ours)).toEqual(none)
    },
  )

  test('is not blamed for a request that we refuse as well', async () => {
    const subject = traffic()
    subject.follow(plan(await peer(failing(422, {}))))
    expect((await ask(subject, {}, { ...own, status: 422 })).status).toBe(422)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, rejected: 1 })
  })

  test.each([
    ['of the same model serves the user and counts as foreign', 'm-00000000aa', 'from the peer', { foreign: 1 }],
    ['of another model never reaches the user', 'n-00000000aa', 'from us', { error: 1 }],
    ['of no name that we give never reaches the user', 'm-x-00000000aa', 'from us', { error: 1 }],
  ])('that answers as a revision %s', async (_title, revision, answered, counts) => {
    const subject = traffic()
    const address = await peer((_request, response) => goodAnswer(response, revision))
    subject.follow({ ...plan(address), peer: { revision: 'm-00000000bb', address } })
    expect(String((await ask(subject)).body)).toBe(answered)
    expect(countsOf(subject.answers()['m-00000000bb'])).toEqual({ ...none, ...counts })
  })

  test.each([
    ['an object for a message', '{"error":{"message":{"toString":1}}}'],
    ['null', '{"error":null}'],
    ['a number', '5'],
    ['too much', `{"error":"${'x'.repeat(100_000)}"}`],
  ])('whose error is %s harms nobody', async (_title, body) => {
    const subject = traffic()
    subject.follow(
      plan(await peer((_request, response) => void response.writeHead(500, { [REVISION_HEADER]: 'next' }).end(body))),
    )
    expect((await ask(subject)).body).toBe('from us')
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, error: 1 })
  })

  const slowly = (delayMs: number) => peer((_request, response) => void setTimeout(() => goodAnswer(response), delayMs))
  const hangingPeer = () => peer(() => undefined)

  test('that is as slow as we are is not blamed, and gets more time from then on', async () => {
    const subject = traffic({ relayTimeoutMs: 100 })
    subject.follow(plan(await slowly(150)))
    await eventually(async () => {
      await ask(subject, {}, { ...own, durationMs: 150 })
      return (subject.answers()['next']?.ok ?? 0) > 1
    })
    expect(countsOf(subject.answers()['next'])).toMatchObject({ error: 0, skipped: 0 })
  })

  test('that is as slow as a long queue makes us is kept away, and nothing is held against it', async () => {
    const subject = traffic({ relayTimeoutMs: 50 })
    subject.follow(plan(await slowly(400)))
    for (let sent = 0; sent < 30; sent += 1) await ask(subject, {}, { ...own, durationMs: 400 })
    expect(subject.breaker).not.toBe('closed')
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, rejected: 30 })
  })

  test('that hangs while a long queue makes us slow is kept away, and blamed once nobody waits for it', async () => {
    const subject = traffic({ relayTimeoutMs: 50 })
    subject.follow(plan(await hangingPeer()))
    await eventually(async () => {
      await ask(subject, {}, { ...own, durationMs: 120 })
      return (subject.answers()['next']?.skipped ?? 0) > 0
    })
    expect(countsOf(subject.answers()['next']).error).toBe(0)
  })

  test('that hangs costs few waits when each is long', async () => {
    const subject = traffic({ relayTimeoutMs: 50 })
    subject.modelRuns(100)
    subject.follow(plan(await hangingPeer()))
    for (let sent = 0; sent < 10; sent += 1) await ask(subject)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, error: 1, skipped: 9 })
  })

  const MIB = Buffer.alloc(1024 * 1024)
  /** Sends that many MiB, and ends when `mayEnd`. */
  const talking = (mib: number, mayEnd: Promise<void> = Promise.resolve()) =>
    peer((_request, response) => {
      response.writeHead(200, { [REVISION_HEADER]: 'next' }).on('error', () => undefined)
      for (let sent = 0; sent < mib; sent += 1) response.write(MIB)
      void mayEnd.then(() => response.end())
    })

  test('that says too much is cut short and blamed, unless we say nearly as much', async () => {
    const subject = traffic({ relayTimeoutMs: 20_000 })
    subject.follow(plan(await talking(33)))
    expect((await ask(subject)).body).toBe('from us')
    await ask(subject, {}, { ...own, body: Buffer.alloc(20 * MIB.length) })
    const { next } = subject.answers()
    expect(countsOf(next)).toEqual({ ...none, error: 1, rejected: 1 })
    expect(next?.errorSamples).toEqual([{ message: 'an answer of more than 32 MiB', count: 1 }])
  })

  test('has a limit to what all its answers may hold, and is not blamed for what we cut short by it', async () => {
    const subject = traffic({ relayTimeoutMs: 60_000 })
    let end: () => void = () => undefined
    subject.follow(plan(await talking(20, new Promise((resolve) => (end = resolve)))))
    const answers = Array.from({ length: 6 }, () => ask(subject))
    // Three times 20 MiB fit into 64 MiB; the others are answered by us while these still wait.
    await eventually(() => subject.answers()['next']?.rejected === 3)
    end()
    const bodies = (await Promise.all(answers)).map(({ body }) => Buffer.byteLength(body))
    expect(bodies.filter((bytes) => bytes === 20 * MIB.length)).toHaveLength(3)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, ok: 3, rejected: 3 })
    await ask(subject)
    expect(subject.answers()['next']?.ok).toBe(4)
  })

  test('that answered while we slept is not blamed', async () => {
    const subject = traffic({ relayTimeoutMs: 500 })
    // It is of our own process: we sleep with it.
    const address = await peer((_request, response) => {
      const wakeAt = performance.now() + 900
      while (performance.now() < wakeAt);
      goodAnswer(response)
    })
    subject.follow(plan(address))
    expect(String((await ask(subject)).body)).toBe('from the peer')
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, ok: 1 })
  })

  test('that makes us wait is not taken for our own slowness', async () => {
    const subject = traffic({ relayTimeoutMs: 100 })
    subject.follow(plan(await peer(() => undefined)))
    const asked = performance.now()
    let receivedAt = 0
    await subject.answer(request(), async (again) => {
      receivedAt = again.receivedAt
      return own
    })
    expect(receivedAt - asked).toBeGreaterThan(90)
  })

  test('that is dead is asked five times, then left alone until a probe is answered', async () => {
    const address = await peer()
    const subject = traffic()
    subject.follow(plan('127.0.0.1:1'))
    for (let sent = 0; sent < 20; sent += 1) expect((await ask(subject)).body).toBe('from us')
    expect(subject.breaker).toBe('open')
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, error: 5, skipped: 15 })
    subject.follow(plan(address, { id: 2 }))
    expect(subject.breaker).toBe('closed')
  })

  test('that comes back is found by a probe that no user waits for', async () => {
    let dead = true
    const address = await peer((incoming, response) => {
      if (dead) incoming.socket.destroy()
      else goodAnswer(response)
    })
    const subject = traffic()
    subject.follow(plan(address))
    await eventually(async () => (await ask(subject)).body === 'from us' && subject.breaker === 'open')
    dead = false
    await eventually(async () => {
      await ask(subject)
      return subject.breaker === 'closed'
    })
    expect(String((await ask(subject)).body)).toBe('from the peer')
  })

  test('that answers 500 goes on giving evidence', async () => {
    const subject = traffic()
    subject.follow(plan(await peer(failing(500, {}))))
    for (let sent = 0; sent < 50; sent += 1) await ask(subject)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, error: 50 })
    expect(subject.breaker).toBe('closed')
  })

  test('that loses a connection is asked once more for the user’s sake, and the loss is counted', async () => {
    let asked = 0
    const address = await peer((incoming, response) => {
      asked += 1
      if (asked === 2) incoming.socket.destroy()
      else goodAnswer(response)
    })
    const subject = traffic()
    subject.follow(plan(address))
    expect(String((await ask(subject)).body)).toBe('from the peer')
    expect(String((await ask(subject)).body)).toBe('from the peer')
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, ok: 1, error: 1 })
  })
})
