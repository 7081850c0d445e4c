import { afterEach, describe, expect, test } from '@jest/globals'
import { EVIDENCE_PATH, type Evidence } from '../../../protocol/evidence.ts'
import { eventually, get, rawPost, startTestServer, talkTo, type TestServer } from '../testing.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const body = JSON.stringify({ features: Array.from({ length: 20 }, (_, index) => index / 10) })
const valid = rawPost(body)
let server: TestServer

afterEach(() => server.close())

async function start(): Promise<void> {
  server = await startTestServer('mlp20', {
    limits: { ...DEFAULT_LIMITS, headersTimeoutMs: 300, requestTimeoutMs: 600 },
    drain: { graceMs: 1_000, limitMs: 10_000 },
  })
}

const statusesOf = (heard: string) => [...heard.matchAll(/HTTP\/1.1 (\d+) /g)].map(([, status]) => Number(status))
const evidence = async () => (await get(server.url + EVIDENCE_PATH)).json as Evidence

describe('a fault on a connection', () => {
  test.each([
    ['no HTTP', 'GARBAGE\r\n\r\n', 400],
    ['endless headers', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(100_000)}`, 431],
    ['headers that never end', 'GET / HTTP/1.1\r\nhost: x\r\n', 408],
    ['a body that never ends', valid.slice(0, -5), 408],
    ['a broken body', 'POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdeX\r\n', 400],
  ])('is answered behind the requests that came before it: %s', async (_what, fault, status) => {
    await start()
    const heard = await talkTo(server, valid + valid + fault)
    expect(statusesOf(heard)).toEqual([200, 200, status])
    expect(heard.match(/"probability"/g)).toHaveLength(2)
    expect(heard).toMatch(/connection: close\r\n([^\r\n]+\r\n)*\r\n\{"error":\{"code":"\w+","message":"[^"]+"\}\}$/)
    expect((await evidence()).answers['own']).toMatchObject({ ok: 2, error: 0, rejected: 0 })
  })

  test('is passed over behind the last answer', async () => {
    await start()
    const heard = await talkTo(server, `${rawPost(body, 'connection: close\r\n')}GARBAGE\r\n\r\n`)
    expect(statusesOf(heard)).toEqual([200])
  })

  test('is answered once, however much of it comes', async () => {
    await start()
    const heard = await talkTo(server, `${valid}GARBAGE\r\n\r\n`, (socket) => socket.write('MORE\r\n\r\n'.repeat(1000)))
    expect(statusesOf(heard)).toEqual([200, 400])
  })
})

describe('requests behind the last answer of a connection', () => {
  test('are not processed while the server drains', async () => {
    await start()
    const drained = server.drain()
    await eventually(async () => (await fetch(`${server.url}/readyz`)).status === 503)
    const heard = await talkTo(server, valid + valid + valid)
    expect(statusesOf(heard)).toEqual([200])
    expect(heard).toContain('connection: close')
    expect((await evidence()).answers['own']).toMatchObject({ ok: 1 })
    await drained
  })

  test('are all answered when they came before the draining, and only the last ends the connection', async () => {
    await start()
    let drained: Promise<boolean> | undefined
    const heard = await talkTo(server, valid.repeat(200), (socket) => {
      socket.once('data', () => {
        drained = server.drain()
      })
    })
    const statuses = statusesOf(heard)
    expect(statuses).toEqual(statuses.map(() => 200))
    expect(heard.match(/connection: close/g)).toHaveLength(1)
    expect(heard.lastIndexOf('HTTP/1.1')).toBeLessThan(heard.indexOf('connection: close'))
    expect((await evidence()).answers['own']).toMatchObject({ ok: statuses.length })
    await drained
  })

  test('are not processed behind a body that was refused', async () => {
    await start()
    const tooLarge = rawPost(' '.repeat(5 * 1024 * 1024))
    const heard = await talkTo(server, tooLarge + valid)
    expect(statusesOf(heard)).toEqual([413])
    expect((await evidence()).answers['own']).toMatchObject({ ok: 0 })
  })
})
