import { afterEach, describe, expect, test } from '@jest/globals'
import { RELAYED_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import { eventually } from '../testing.ts'
import { ask, closeAll, countsOf, goodAnswer, none, own, peer, plan, traffic } from './testing.ts'

afterEach(closeAll)

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

  test('arrives at the peer whole, marked, and without headers of the hop', async () => {
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
      connection: 'keep-alive, x-named',
      'x-named': 'a',
      'proxy-connection': 'keep-alive',
      [RELAYED_HEADER]: 'of-a-client',
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
      [RELAYED_HEADER]: 'next',
      // We heed it ourselves, so the peer must.
      'x-named': 'a',
    })
    expect(seen?.headers).not.toHaveProperty('proxy-connection')
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

  test.each([
    ['for us', 'm-00000000aa', true],
    ['for another revision of this model, which an address led astray', 'm-00000000bb', true],
    ['for another model', 'n-00000000aa', false],
    ['by somebody else', '1', false],
  ])('is never relayed twice, when it was meant %s', async (_title, target, isRelayed) => {
    const address = await peer()
    const subject = traffic({ revision: 'm-00000000aa' })
    subject.follow({ ...plan(address), revision: 'm-00000000aa', peer: { revision: 'next', address } })
    expect(String((await ask(subject, { [RELAYED_HEADER]: target })).body)).toBe(
      isRelayed ? 'from us' : 'from the peer',
    )
    expect([subject.relayedIn, subject.directRequests]).toEqual(isRelayed ? [1, 0] : [0, 1])
    expect(countsOf(subject.answers()['m-00000000aa'])).toEqual(none)
  })

  test('leaves out a request whose headers the peer could not read beside ours', async () => {
    let asked = 0
    const address = await peer((_request, response) => {
      asked += 1
      goodAnswer(response)
    })
    const subject = traffic()
    subject.follow(plan(address))
    expect((await ask(subject, { 'x-long': 'x'.repeat(16_000) })).body).toBe('from us')
    expect(asked).toBe(0)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, rejected: 1 })
    expect(subject.breaker).toBe('closed')
    expect(String((await ask(subject, { 'x-long': 'x'.repeat(15_000) })).body)).toBe('from the peer')
  })
})

describe('switching plans', () => {
  test('starts new counters, ignores plans that are not newer, and keeps requests on their way out of them', async () => {
    let release: (() => void) | undefined
    const address = await peer((_request, response) => {
      if (release === undefined) release = () => goodAnswer(response)
      else goodAnswer(response)
    })
    const subject = traffic({ relayTimeoutMs: 5_000 })
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
    const subject = traffic({ relayTimeoutMs: 30_000 })
    subject.follow(plan(await peer(() => undefined), { weightPermille: 0, shadowPermille: 1000 }))
    for (let sent = 0; sent < 100; sent += 1) await ask(subject)
    expect(countsOf(subject.answers()['next'])).toEqual({ ...none, rejected: 68 })
  })

  test('judges a peer as the relay does', async () => {
    const subject = traffic({ relayTimeoutMs: 50 })
    subject.follow(plan(await peer(() => undefined), { weightPermille: 0, shadowPermille: 1000 }))
    await ask(subject, {}, { ...own, durationMs: 40 })
    await eventually(() => subject.answers()['next']?.rejected === 1)
    await ask(subject)
    await eventually(() => subject.answers()['next']?.error === 1)
  })
})
