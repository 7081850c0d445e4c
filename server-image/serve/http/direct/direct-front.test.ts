import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { EVIDENCE_PATH, type Evidence } from '../../../../protocol/evidence.ts'
import { eventually, get, rawPost, startTestServer, talkTo, type TestServer } from '../../testing.ts'
import { adopter } from './adopt.ts'
import { Client } from './testing.ts'
import { DEFAULT_LIMITS } from '../limits.ts'

const row = Array.from({ length: 20 }, (_, index) => index / 10)
const predict = rawPost(JSON.stringify({ features: row }))
const metadata = 'GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n'
const inPieces = `POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${[
  ...JSON.stringify({ features: row }),
]
  .map((character) => `1\r\n${character}\r\n`)
  .join('')}0\r\n\r\n`
const refused = rawPost('{"features":[1]}')

let server: TestServer

afterEach(() => server.close())

describe('a connection', () => {
  test('has every request answered in order, however its bytes are cut, by whichever way', async () => {
    server = await startTestServer('mlp20')
    const kinds = [
      { text: predict, status: 200 },
      { text: refused, status: 422 },
      { text: metadata, status: 200 },
      { text: inPieces, status: 200 },
      { text: predict.replace('/predict', '/nowhere'), status: 404 },
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 12 }),
        async (requests, cuts) => {
          const client = new Client(server)
          const text = requests.map((request) => request.text).join('')
          let at = 0
          for (const cut of [...cuts, text.length]) {
            client.socket.write(text.slice(at, at + cut))
            at += cut
            await new Promise(setImmediate)
          }
          await eventually(() => client.statuses.length >= requests.length)
          expect(client.statuses).toEqual(requests.map(({ status }) => status))
          client.socket.destroy()
        },
      ),
      { numRuns: 60 },
    )
  })

  test('is answered though its client has ended, and is then closed', async () => {
    server = await startTestServer('mlp20')
    const heard = await talkTo(server, predict, (socket) => socket.end())
    expect(heard).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  })

  test('is told of the date and of the time that it is kept', async () => {
    server = await startTestServer('mlp20')
    const client = new Client(server)
    client.socket.write(predict)
    await eventually(() => client.statuses.length === 1)
    client.socket.destroy()
    expect(client.heard).toMatch(/\r\nconnection: keep-alive\r\nkeep-alive: timeout=75\r\n/)
    const date = /\r\ndate: ([^\r]+ GMT)\r\n/.exec(client.heard)?.[1] ?? ''
    expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000)
  })

  test('that asks for nothing is closed after the time for headers', async () => {
    server = await startTestServer('mlp20', {
      limits: { ...DEFAULT_LIMITS, headersTimeoutMs: 200, requestTimeoutMs: 60_000 },
    })
    const client = new Client(server)
    await eventually(() => client.isClosed)
    expect(client.heard).toBe('')
  })

  test('that dribbles a body meets the limit of all requests', async () => {
    server = await startTestServer('mlp20', {
      limits: { ...DEFAULT_LIMITS, headersTimeoutMs: 300, requestTimeoutMs: 600 },
    })
    const client = new Client(server)
    client.socket.write(predict.slice(0, -60))
    const dribble = setInterval(() => client.socket.write(' '), 100)
    await eventually(() => client.isClosed)
    clearInterval(dribble)
    expect(client.statuses).toEqual([408])
  })

  test('that waits for its answer is not closed by a drain, and its answer is the last', async () => {
    server = await startTestServer('mlp20', {
      batching: { maxRows: 2, maxDelayMs: 500, maxQueuedRows: 100, deadlineMs: 60_000 },
      drain: { graceMs: 50, limitMs: 20_000 },
    })
    const client = new Client(server)
    client.socket.write(predict)
    const evidence = async () => (await get(server.url + EVIDENCE_PATH)).json as Evidence
    await eventually(async () => (await evidence()).directRequests === 1)
    expect(await server.drain()).toBe(true)
    await eventually(() => client.isClosed)
    expect(client.statuses).toEqual([200])
    expect(client.heard).toMatch(/\r\nconnection: close\r\n/)
  })
})

test('text beyond ASCII goes as UTF-8, with its length in bytes', async () => {
  server = await startTestServer('mlp20')
  const client = new Client(server)
  client.socket.write(rawPost('{"features":[1],"größe":1}'))
  await eventually(() => client.statuses.length === 1)
  client.socket.destroy()
  const [, body = ''] = client.heard.split('\r\n\r\n')
  expect(Buffer.from(body, 'latin1').toString('utf8')).toContain('größe')
})

test('this release of Node lets sockets be read into a buffer of ours', async () => {
  const accepted = new Promise<Socket>((resolve) => {
    const net = createServer((socket) => resolve(socket)).listen(0, '127.0.0.1')
    net.once('listening', () =>
      connect((net.address() as AddressInfo).port, '127.0.0.1')
        .end('abc')
        .on('close', () => net.close()),
    )
  })
  const read: string[] = []
  const socket = adopter()(await accepted, (bytes) => read.push(String(bytes)) > 0)
  expect(socket).toBeDefined()
  socket?.on('end', () => socket.end())
  await new Promise((resolve) => socket?.once('close', resolve))
  expect(read).toEqual(['abc'])
})
