import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { Code, createClient } from '@connectrpc/connect'
import { eventually, post, startTestServer } from '../testing.ts'
import { Health, HealthCheckResponse_ServingStatus as Status } from './generated/grpc/health/v1/health_pb.js'

import { DEFAULT_LIMITS } from '../http/limits.ts'
import {
  atEnd,
  call,
  callOn,
  clientOf,
  closeAll,
  evidenceOf,
  failure,
  framed,
  message,
  nested,
  question,
  row,
  serverWith,
  sessionTo,
  transportTo,
  x,
} from './testing.ts'

afterEach(closeAll)

/** Long enough for a client on a busy machine to say something. */
const brief = { ...DEFAULT_LIMITS, headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 }

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING] = [0, 1, 3, 4, 6]
const [ACK, END_STREAM, END_HEADERS] = [1, 1, 4]

/** RFC 9113, 4.1. */
function frame(type: number, stream: number, payload: Uint8Array = Buffer.alloc(8), flags = 0): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A whole call of ModelInfer, and the end of it at once. */
function takenBack(stream: number): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value)])
  // By the static table (RFC 7541, A): POST, http, and names of an authority, a path and a content type.
  const headers = Buffer.concat([
    Buffer.of(0x83, 0x86, 0x01),
    text('x'),
    Buffer.of(0x04),
    text('/inference.GRPCInferenceService/ModelInfer'),
    Buffer.of(0x0f, 0x10),
    text('application/grpc'),
  ])
  return Buffer.concat([
    frame(HEADERS, stream, headers, END_HEADERS),
    frame(DATA, stream, framed(message), END_STREAM),
    frame(RST_STREAM, stream, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL)),
  ])
}

describe('strangers', () => {
  test.each<[string, Uint8Array, Record<string, string>, RegExp]>([
    ['nothing', new Uint8Array(), {}, /^(3|12|13)$/],
    ['half a frame', framed(message).subarray(0, 9), {}, /^(3|13)$/],
    ['a length that is a lie', framed(message, 1_000_000_000), {}, /^(3|8|13)$/],
    ['bytes that are no message', framed(Buffer.alloc(50, 0xff)), {}, /^(3|13)$/],
    ['two messages', Buffer.concat([framed(message), framed(message)]), {}, /^(3|12|13)$/],
    ['an unknown compression', framed(message, message.length, 1), { 'grpc-encoding': 'zstd' }, /^12$/],
    ['a compression that could hide anything', framed(message, message.length, 1), { 'grpc-encoding': 'gzip' }, /^12$/],
    ['millions of empty fields', framed(Buffer.from('2a00'.repeat(1_500_000), 'hex')), {}, /^3$/],
    ['millions of elements', framed(nested(Buffer.from('4200'.repeat(1_000_000), 'hex'))), {}, /^3$/],
    ['an unknown method', framed(message), { ':path': '/inference.GRPCInferenceService/Everything' }, /^12$/],
    ['another type', framed(message), { 'content-type': 'text/html' }, /^415$/],
    ['another method of HTTP', framed(message), { ':method': 'PUT' }, /^405$/],
    ['a deadline that is none', framed(message), { 'grpc-timeout': 'soon' }, /^(3|13)$/],
    ['headers without end', framed(message), { 'x-long': 'y'.repeat(100_000) }, /^(431|closed with \d+)$/],
  ])('send %s, and are told so, and the next one is served', async (_title, body, headers, wanted) => {
    const server = await serverWith('mlp20')
    expect(await call(server, body, headers)).toMatch(wanted)
    expect((await clientOf(server).modelInfer(question())).outputs).toHaveLength(1)
  })

  test('that speak HTTP/1 or nothing at all leave the server as it was', async () => {
    const server = await serverWith('mlp20', { limits: brief })
    for (const text of ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + '\0'.repeat(500)]) {
      await new Promise<void>((resolve) => {
        const socket = connectTcp(server.grpcPort ?? 0, '127.0.0.1', () => socket.write(text))
        socket
          .on('error', () => undefined)
          .on('close', () => resolve())
          .resume()
      })
    }
    expect((await clientOf(server).modelInfer(question())).outputs).toHaveLength(1)
  })

  test('that never end a message are told so and cut off, and the room that it took is there again', async () => {
    const server = await serverWith('mlp20', { maxInflightBodyBytes: 5 * 1024 * 1024, limits: brief })
    const { stream, status } = callOn(sessionTo(server))
    stream.write(framed(new Uint8Array(3 * 1024 * 1024), 3_500_000))
    expect(await status).toBe(String(Code.DeadlineExceeded))
    const { contents: _contents, ...bare } = x
    const large = question({
      inputs: [{ ...bare, shape: [1n, 20n] }],
      rawInputContents: [new Uint8Array(3 * 1024 * 1024)],
    })
    await eventually(async () => (await failure(clientOf(server).modelInfer(large))).code === Code.InvalidArgument)
  })

  test('whose message is larger than it may be are told so before it is read, and others are served meanwhile', async () => {
    const server = await serverWith('mlp20')
    const { stream, status } = callOn(sessionTo(server))
    const size = 200 * 1024 * 1024
    let isTold = false
    stream.on('response', () => (isTold = true)).on('close', () => (isTold = true))
    let sentBytes = 0
    stream.write(framed(Buffer.alloc(0), size))
    while (!isTold && sentBytes < size) {
      stream.write(Buffer.alloc(64 * 1024))
      sentBytes += 64 * 1024
      if (sentBytes % (1024 * 1024) === 0)
        expect((await post(`${server.url}/predict`, { features: row })).status).toBe(200)
    }
    expect(await status).toBe(String(Code.ResourceExhausted))
    expect(sentBytes).toBeLessThan(5 * 1024 * 1024)
  })

  test('that send more than their message are told so before they end', async () => {
    const { stream, status } = callOn(sessionTo(await serverWith('mlp20')))
    stream.write(Buffer.concat([framed(message), Buffer.alloc(100_000)]))
    expect(await status).toBe(String(Code.InvalidArgument))
  })

  test('that ask small things for ever take no more room than one of them does', async () => {
    const server = await serverWith('mlp20', { maxBodyBytes: 64 * 1024, maxInflightBodyBytes: 128 * 1024 })
    const { stream } = callOn(sessionTo(server), {
      ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    })
    let answered = 0
    stream.on('data', (bytes: Buffer) => (answered += bytes.length))
    const ask = framed(Buffer.concat([Buffer.from([0x1a, 0x80, 0x08]), Buffer.alloc(1024, 'x')]))
    for (let times = 0; times < 400; times += 1) stream.write(ask)
    await eventually(async () => {
      const all = JSON.stringify({ features: row }).padEnd(64 * 1024)
      return answered > 400 * 1000 && (await post(`${server.url}/predict`, all)).status === 200
    })
    stream.destroy()
  })

  test('whose messages are refused before they were read whole leave nothing taken', async () => {
    const server = await serverWith('mlp20', { maxBodyBytes: 1024 * 1024, maxInflightBodyBytes: 1024 * 1024 })
    for (let times = 0; times < 4; times += 1) {
      const watch = { ':path': '/grpc.health.v1.Health/Watch' }
      expect(await call(server, framed(new Uint8Array(200_000)), watch)).toBe('8')
      const { stream, status } = callOn(sessionTo(server), watch)
      stream.write(framed(new Uint8Array(200_000), 300_000))
      expect(await status).toBe('8')
    }
    const all = JSON.stringify({ features: row }).padEnd(1024 * 1024)
    await eventually(async () => (await post(`${server.url}/predict`, all)).status === 200)
  })

  test('that ask for health at great length get no room for it', async () => {
    const server = await serverWith('mlp20')
    const health = createClient(Health, transportTo(server))
    expect((await failure(health.check({ service: 'x'.repeat(10_000) }))).code).toBe(Code.ResourceExhausted)
    const cut = await failure(clientOf(server).modelInfer(question({ modelName: `a${'\u{1f600}'.repeat(60)}` })))
    expect(cut.code).toBe(Code.NotFound)
  })

  test('that take back their calls as soon as they make them are not computed for', async () => {
    const server = await serverWith('mlp20')
    const socket = connectTcp(server.grpcPort ?? 0, '127.0.0.1')
    atEnd(() => socket.destroy())
    const calls = Array.from({ length: 50 }, (_, index) => takenBack(2 * index + 1))
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, Buffer.alloc(0)), ...calls, frame(PING, 0)]))
    let heard = Buffer.alloc(0)
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => (heard = Buffer.concat([heard, bytes])))
    await eventually(() => heard.includes(frame(PING, 0, Buffer.alloc(8), ACK)))
    expect((await clientOf(server).modelInfer(question())).outputs).toHaveLength(1)
    expect((await evidenceOf(server)).directRequests).toBe(1)
  })

  test('that do not read their answers may send no more than a little', async () => {
    const session = sessionTo(await serverWith('mlp20'))
    await once(session, 'remoteSettings')
    expect(session.remoteSettings.initialWindowSize).toBeLessThanOrEqual(64 * 1024)
  })

  test('that stay silent lose their place, and a refused call that never ends is ended', async () => {
    const server = await startTestServer('mlp20', {
      grpcPort: 0,
      limits: brief,
      drain: { graceMs: 200, limitMs: 20_000 },
    })
    const silent = connectTcp(server.grpcPort ?? 0, '127.0.0.1')
    silent.on('error', () => undefined).resume()
    await new Promise((resolve) => silent.on('close', resolve))
    const { status } = callOn(sessionTo(server), { ':path': '/nope' })
    expect(await status).toBe('12')
    expect(await server.drain()).toBe(true)
  })

  test('without a token are told so, but may ask for health', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-grpc-'))
    atEnd(() => rmSync(dir, { recursive: true }))
    const token = 'a-token-that-is-long-enough'
    writeFileSync(join(dir, 'tokens'), token)
    const server = await serverWith('mlp20', { tokenFile: join(dir, 'tokens') })
    const client = clientOf(server)
    expect((await failure(client.modelInfer(question()))).code).toBe(Code.Unauthenticated)
    expect((await failure(client.modelMetadata({ name: 'm' }))).code).toBe(Code.Unauthenticated)
    expect((await failure(client.modelReady({ name: 'm' }))).code).toBe(Code.Unauthenticated)
    expect((await client.serverReady({})).ready).toBe(true)
    expect((await createClient(Health, transportTo(server)).check({})).status).toBe(Status.SERVING)
    const { stream } = callOn(sessionTo(server))
    const [, flags] = (await once(stream, 'response')) as [unknown, number]
    expect(flags & constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0)
    const headers = { authorization: `Bearer ${token}` }
    expect((await client.modelInfer(question(), { headers })).outputs).toHaveLength(1)
  })
})
