import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ServerOptions } from '../server-options.ts'
import { eventually, post, rawPost, startTestServer, talkTo, type TestServer } from '../testing.ts'
import { readBody, type Body } from './body.ts'
import { BodyBudget } from './body-budget.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const KIB = 1024

function read(chunks: readonly Buffer[], budget: BodyBudget, maxBytes = 64 * KIB): Promise<Body> {
  const request = Object.assign(Readable.from(chunks, { objectMode: false }), { headers: {} })
  return new Promise((resolve) => readBody(request as unknown as IncomingMessage, { maxBytes, budget }, resolve))
}

describe('a body', () => {
  test('is what was sent, however it was cut, and is taken from the budget until it is given back', async () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes))
    await fc.assert(
      fc.asyncProperty(fc.array(chunk), async (chunks) => {
        const sent = Buffer.concat(chunks)
        const budget = new BodyBudget(64 * KIB)
        const body = await read(chunks, budget)
        expect(body).toEqual({ kind: 'whole', bytes: sent })
        expect(budget.takenBytes).toBe(sent.length)
      }),
    )
  })

  test('in tiny chunks takes no more than twice its size', async () => {
    const chunks = Array.from({ length: 10_000 }, () => Buffer.from('x'))
    const body = await read(chunks, new BodyBudget(64 * KIB))
    expect(body.kind === 'whole' && body.bytes.buffer.byteLength).toBeLessThanOrEqual(20_000)
  })

  test.each<[string, number, number, string]>([
    ['more than one may have', 1000, 100_000, 'too_large'],
    ['more than there is room for', 100_000, 1000, 'overloaded'],
  ])('that becomes %s is refused, and leaves nothing taken', async (_what, maxBytes, limitBytes, code) => {
    const budget = new BodyBudget(limitBytes)
    const body = await read(
      Array.from({ length: 20 }, () => Buffer.alloc(100)),
      budget,
      maxBytes,
    )
    expect(body).toMatchObject({ kind: 'refused', error: { code } })
    expect(budget.takenBytes).toBe(0)
  })
})

describe('a server that holds as many bytes as it may', () => {
  let server: TestServer
  afterEach(() => server.close())

  const body = JSON.stringify({ features: Array.from({ length: 20 }, (_, index) => index / 10) }).padEnd(40 * KIB)
  const start = async (changes: Partial<ServerOptions> = {}) => {
    server = await startTestServer('mlp20', {
      maxBodyBytes: 64 * KIB,
      maxInflightBodyBytes: 64 * KIB,
      ...changes,
    })
  }
  const statusOfAnother = async () => (await post(`${server.url}/predict`, body)).status

  test('of unfinished uploads refuses others until those have gone', async () => {
    await start()
    const upload = connect(server.port, '127.0.0.1')
    upload.on('error', () => undefined).write(rawPost(body).slice(0, -1))
    await eventually(async () => (await statusOfAnother()) === 429)
    upload.destroy()
    await eventually(async () => (await statusOfAnother()) === 200)
  })

  test('of requests that wait for the model refuses others until those are answered', async () => {
    await start({ batching: { maxRows: 2, maxDelayMs: 60_000, maxQueuedRows: 100, deadlineMs: 60_000 } })
    const waiting = post(`${server.url}/predict`, body)
    await eventually(async () => (await Promise.race([statusOfAnother(), waiting.then(() => 0)])) === 429)
    const refused = await talkTo(server, rawPost(body))
    expect(refused).toMatch(/^HTTP\/1.1 429 .*\r\nretry-after: 1\r\n.*connection: close\r\n.*"overloaded"/s)
    const small = JSON.stringify({ features: Array.from({ length: 20 }, () => 0) })
    expect((await post(`${server.url}/predict`, small)).status).toBe(200)
    expect((await waiting).status).toBe(200)
    const again = [1, 2].map(() => post(`${server.url}/predict`, small))
    expect((await Promise.all(again)).map(({ status }) => status)).toEqual([200, 200])
  })

  const chunked = 'POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
  test.each<[string, string, boolean?]>([
    ['the client leaves before its end', rawPost(body).slice(0, -1), true],
    ['the client leaves before it is answered', rawPost(body), true],
    ['it never ends', rawPost(body).slice(0, -1)],
    ['it is broken', `${chunked}400\r\n${' '.repeat(KIB)}X\r\n`],
    ['it becomes too large', `${chunked}10001\r\n${' '.repeat(64 * KIB + 1)}\r\n0\r\n\r\n`],
    ['no JSON is in it', rawPost('x', 'connection: close\r\n')],
    ['another request is broken behind it', `${rawPost(body)}GARBAGE\r\n\r\n`],
    [
      'it is feedback for nobody',
      rawPost('{"id":"a","label":1}', 'connection: close\r\n').replace('predict', 'feedback'),
    ],
  ])('has room for all again when a request has ended: %s', async (_how, bytes, leaves = false) => {
    await start({ limits: { ...DEFAULT_LIMITS, headersTimeoutMs: 300, requestTimeoutMs: 600 } })
    await talkTo(server, bytes, (socket) => {
      if (leaves) socket.end(() => setImmediate(() => socket.destroy()))
    })
    await eventually(async () => (await post(`${server.url}/predict`, body.padEnd(64 * KIB))).status === 200)
  })

  test('does not ask a client for a body that it has no room for', async () => {
    await start()
    const upload = connect(server.port, '127.0.0.1')
    upload.on('error', () => undefined).write(rawPost(body).slice(0, -1))
    await eventually(async () => (await statusOfAnother()) === 429)
    expect(await talkTo(server, rawPost(body, 'expect: 100-continue\r\n'))).toMatch(/^HTTP\/1.1 429 /)
    expect((await post(`${server.url}/feedback`, body)).status).toBe(429)
    upload.destroy()
  })
})
