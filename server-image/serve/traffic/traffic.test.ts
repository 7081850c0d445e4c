import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Answers } from '../../../protocol/evidence.ts'
import { DURATION_HEADER, RELAYED_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import type { PlanFile } from '../../../protocol/plan.ts'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { eventually } from '../testing.ts'
import { Traffic } from './traffic.ts'

const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function listening(server: Server | TcpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A peer that answers `next`, unless it is told what to do. */
function peer(behaviour?: RequestListener): Promise<string> {
  return listening(
    createServer((request, response) => {
      request.resume()
      if (behaviour === undefined) goodAnswer(response)
      else behaviour(request, response)
    }),
  )
}

function goodAnswer(response: Parameters<RequestListener>[1], revision = 'next'): void {
  response
    .writeHead(200, { [REVISION_HEADER]: revision, [DURATION_HEADER]: '2000', 'x-of-the-peer': 'yes' })
    .end('from the peer')
}

const own: Answer = { status: 200, headers: [], body: 'from us', durationMs: 1 }

function traffic(relayTimeoutMs = 2_000): Traffic {
  const subject = new Traffic({ revision: 'own', phase: 0, relayTimeoutMs, onRelay: () => undefined })
  closers.push(() => subject.close())
  return subject
}

function plan(address: string, changes: Partial<PlanFile> = {}): PlanFile {
  return {
    id: 1,
    revision: 'own',
    peer: { revision: 'next', address },
    weightPermille: 1000,
    shadowPermille: 0,
    retired: false,
    ...changes,
  }
}

function request(headers: Record<string, string> = {}): InferenceRequest {
  return {
    url: '/predict?a=1',
    headers,
    rawHeaders: Object.entries(headers).flat(),
    body: Buffer.from('{}'),
    receivedAt: performance.now(),
  }
}

const ask = (subject: Traffic, headers?: Record<string, string>, answer = own) =>
  subject.answer(request(headers), async () => answer)

const countsOf = (answers: Answers | undefined) => {
  const { ok = 0, error = 0, rejected = 0, foreign = 0, skipped = 0 } = answers ?? {}
  return { ok, error, rejected, foreign, skipped }
}
const none = { ok: 0, error: 0, rejected: 0, foreign: 0, skipped: 0 }

describe('without a plan', () => {
  test('everything is answered here and counted by outcome', async () => {
    const subject = traffic()
    for (const status of [200, 200, 422, 429, 500])
      await ask(subject, {}, { ...own, status, failure: `it was ${status}` })
    expect(subject.planId).toBe(0)
    expect(countsOf(subject.answers()['own'])).toEqual({ ...none, ok: 2, rejected: 1, error: 2 })
    expect(subject.answers()['own']?.errorSamples).toEqual([
      { message: 'it was 429', count: 1 },
      { message: 'it was 500', count: 1 },
    ])
    expect(subject.directRequests).toBe(5)
  })
})

describe('the relayed share', () => {
  test('is the peer’s answer as it is, and counts for the peer by its own duration', async () => {
    const subject = traffic()
    subject.follow(plan(await peer()))
    const answer = await ask(subject)
    expect(String(answer.body)).toBe('from the peer')
    expect(answer.headers).toEqual(expect.arrayContaining(['x-of-the-peer', 'yes', REVISION_HEADER, 'next']))
    expect(answer.headers.join().toLowerCase()).not.toMatch(/connection|keep-alive|content-length/)
    const { next, own: ours } = subject.answers()
    expect(countsOf(next)).toEqual({ ...none, ok: 1 })
    // Bucket 39 holds 2 ms: 50 us * 1.1^39 is 2.06 ms.
    expect(next?.latency).toEqual({ '39': 1 })
    expect(countsOf(ours)).toEqual(none)
  })

  test('arrives at the peer whole, marked, and without headers of the connection', async () => {
    let seen: { url: string; headers: object; body: string } | undefined
    const address = await peer((incoming, response) => {
      let body = ''
      incoming
        .on('data', (chunk) => (body += String(chunk)))
        .on('end', () => {
          seen = { url: incoming.url ?? '', headers: incoming.headers, body }
          goodAnswer(response)
        })
    })
    const subject = traffic()
    subject.follow(plan(address, { id: 12 }))
    await ask(subject, {
      connection: 'keep-alive, x-hop',
      'x-hop': 'a',
      traceparent: 'b',
      host: 'c',
      'content-type': 'd',
    })
    expect(seen?.url).toBe('/predict?a=1')
    expect(seen?.body).toBe('{}')
    expect(seen?.headers).toMatchObject({
      traceparent: 'b',
      'content-type': 'd',
      host: address,
      [RELAYED_HEADER]: '12',
    })
    expect(seen?.headers).not.toHaveProperty('x-hop')
  })

  test.each([
    [0, 0],
    [1, 10],
    [50, 500],
    [333, 3330],
    [1000, 10_000],
  ])('of %i permille is exact over 10,000 requests', async (weightPermille, wanted) => {
    const subject = traffic()
    subject.follow(plan(await peer(), { weightPermille }))
    for (let sent = 0; sent < 10_000; sent += 50) await Promise.all(Array.from({ length: 50 }, () => ask(subject)))
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, ok: wanted })
    expect(countsOf(subject.answers()['own'])).toEqual({ ...none, ok: 10_000 - wanted })
  })

  test('follows the user when the plan is sticky, and never moves a user back when it grows', async () => {
    const address = await peer()
    const subject = traffic()
    const users = Array.from({ length: 300 }, (_, user) => `u${user}`)
    const movedAt: string[][] = []
    for (const [step, weightPermille] of [50, 250, 500].entries()) {
      subject.follow(plan(address, { id: step + 1, weightPermille, stickyHeader: 'x-user-id' }))
      const answers = await Promise.all(users.map((user) => ask(subject, { 'x-user-id': user })))
      const again = await Promise.all(users.map((user) => ask(subject, { 'x-user-id': user })))
      expect(again.map(({ body }) => String(body))).toEqual(answers.map(({ body }) => String(body)))
      movedAt.push(users.filter((_, index) => String(answers[index]?.body) === 'from the peer'))
    }
    const [first = [], second = [], third = []] = movedAt
    expect(first.length).toBeGreaterThan(0)
    expect(second).toEqual(expect.arrayContaining(first))
    expect(third).toEqual(expect.arrayContaining(second))
    expect(third.length).toBeLessThan(users.length)
  })

  test('is split by count where a sticky request names no user', async () => {
    const subject = traffic()
    subject.follow(plan(await peer(), { weightPermille: 500, stickyHeader: 'x-user-id' }))
    for (let sent = 0; sent < 10; sent += 1) await ask(subject)
    expect(subject.answers()['next']?.ok).toBe(5)
  })

  test('is never relayed twice', async () => {
    const subject = traffic()
    subject.follow(plan(await peer()))
    expect((await ask(subject, { [RELAYED_HEADER]: '1' })).body).toBe('from us')
    expect([subject.relayedIn, subject.directRequests]).toEqual([1, 0])
    expect(countsOf(subject.answers()['own'])).toEqual(none)
  })
})

describe('a bad peer', () => {
  const hanging: RequestListener = () => undefined
  const kinds: [string, () => Promise<string>, string | RegExp][] = [
    ['is not there', async () => '127.0.0.1:1', /ECONNREFUSED/],
    ['hangs', () => peer(hanging), 'no answer within 100 ms'],
    [
      'begins an answer and stops',
      () => peer((_request, response) => void response.writeHead(200, { [REVISION_HEADER]: 'next' }).write('half')),
      'no answer within 100 ms',
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
      const subject = traffic(100)
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

  test('that is as slow as we are is not blamed, and gets more time from then on', async () => {
    const subject = traffic(100)
    subject.follow(plan(await peer((_request, response) => void setTimeout(() => goodAnswer(response), 150))))
    for (let sent = 0; sent < 3; sent += 1) {
      const slow = async () => ({ ...own, durationMs: 150 })
      await subject.answer(request(), slow)
    }
    const { ok, error, skipped } = countsOf(subject.answers()['next'])
    expect([ok, error, skipped]).toEqual([2, 0, 1])
  })

  test('that makes us wait is not taken for our own slowness', async () => {
    const subject = traffic(100)
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

describe('switching plans', () => {
  test('starts new counters, ignores plans that are not newer, and keeps requests on their way out of them', async () => {
    let release: (() => void) | undefined
    const address = await peer((_request, response) => {
      if (release === undefined) release = () => goodAnswer(response)
      else goodAnswer(response)
    })
    const subject = traffic(5_000)
    subject.follow(plan(address, { id: 5 }))
    const slow = ask(subject)
    await eventually(() => release !== undefined)
    expect(subject.follow(plan(address, { id: 6 }))).toBe(true)
    expect(subject.follow(plan(address, { id: 6, weightPermille: 0 }))).toBe(false)
    expect(subject.follow(plan(address, { id: 4 }))).toBe(false)
    await ask(subject)
    release?.()
    expect(String((await slow).body)).toBe('from the peer')
    expect(subject.planId).toBe(6)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, ok: 1 })
  })

  test('loses no request under load, to whatever peer', async () => {
    const addresses = [await peer(), await peer()]
    const subject = traffic()
    let stop = false
    let answered = 0
    const users = Array.from({ length: 16 }, async () => {
      while (!stop) {
        expect((await ask(subject)).status).toBe(200)
        answered += 1
      }
    })
    for (let id = 1; id <= 40; id += 1) {
      subject.follow(plan(addresses[id % 2] ?? '', { id, weightPermille: (id * 100) % 1001 }))
      const before = answered
      await eventually(() => answered > before + 50)
    }
    stop = true
    await Promise.all(users)
    const counts = Object.values(subject.answers()).map(countsOf)
    expect(counts.map(({ error, rejected, foreign, skipped }) => error + rejected + foreign + skipped)).toEqual([0, 0])
  })

  test('stands alone when the plan is taken away, until it or a newer one is there', async () => {
    const subject = traffic()
    const retiring = plan(await peer(), { id: 3, retired: true })
    subject.follow(retiring)
    await ask(subject)
    expect(subject.isRetired).toBe(true)
    subject.standAlone()
    expect((await ask(subject)).body).toBe('from us')
    expect([subject.planId, subject.isRetired]).toEqual([3, false])
    expect(subject.follow({ ...retiring, id: 2 })).toBe(false)
    expect(subject.follow(retiring)).toBe(true)
    await ask(subject)
    expect([subject.isRetired, subject.answers()['next']?.ok, subject.answers()['own']?.ok]).toEqual([true, 2, 1])
  })
})

describe('the shadow', () => {
  test('copies its share in the background while the user has our answer', async () => {
    const subject = traffic()
    subject.follow(plan(await peer(), { weightPermille: 0, shadowPermille: 500 }))
    for (let sent = 0; sent < 20; sent += 1) expect((await ask(subject)).body).toBe('from us')
    await eventually(() => subject.answers()['next']?.ok === 10)
    expect(countsOf(subject.answers()['own'])).toEqual({ ...none, ok: 20 })
  })

  test('drops copies when the peer is slow, and makes nobody wait', async () => {
    const subject = traffic(30_000)
    subject.follow(plan(await peer(() => undefined), { weightPermille: 0, shadowPermille: 1000 }))
    for (let sent = 0; sent < 100; sent += 1) await ask(subject)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, skipped: 68 })
  })
})
