import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../answer.ts'
import { Connections } from '../../drain.ts'
import { predictRoute } from '../../predict/predict-route.ts'
import { eventually, rawPost } from '../../testing.ts'
import { BodyBudget } from '../body-budget.ts'
import { Exchanges } from '../exchanges.ts'
import { createHttpServer } from '../http-server.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { DirectFront } from './direct-front.ts'
import { Client } from './testing.ts'

const SIZE = 60_000
const body = 'x'.repeat(SIZE)
const ways = [
  ['directly', rawPost('{}')],
  ['by node:http', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'],
] as const

interface Started {
  readonly server: Server
  readonly port: number
  readonly connections: Connections
  readonly sockets: readonly Socket[]
  readonly told: unknown[]
}

let started: Started

async function start(keepAliveMs: number, answered: Answer): Promise<Started> {
  const limits = { ...DEFAULT_LIMITS, keepAliveMs }
  const bodies = { maxBytes: 1000, budget: new BodyBudget(1000) }
  const isClosing = () => false
  const server = createHttpServer({
    listener: (_request, response) => response.end(body),
    exchanges: new Exchanges(isClosing),
    bodies,
    limits,
  })
  const told: unknown[] = []
  const front = new DirectFront(server, {
    routeOf: () => predictRoute,
    answer: () => Promise.resolve(answered),
    budget: bodies.budget,
    isClosing,
    onInternalError: (error) => told.push(error),
    firstRequestMs: limits.headersTimeoutMs,
    keepAliveMs,
  })
  const sockets: Socket[] = []
  front.follow((socket) => sockets.push(socket))
  const connections = new Connections(server, front)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, connections, sockets, told }
}

afterEach(() => void started.connections.close())

describe('a client that does not read', () => {
  /** One to which the server could not bring its latest answer whole. @returns how many it asked for */
  async function unread(request: string): Promise<{ client: Client; asked: number }> {
    const client = new Client(started)
    client.socket.pause()
    await eventually(() => started.sockets.length === 1)
    const [socket] = started.sockets
    let asked = 0
    while (socket?.writableLength === 0) {
      client.socket.write(request)
      asked += 1
      while (socket.bytesWritten < asked * SIZE) await new Promise(setImmediate)
    }
    return { client, asked }
  }

  const answered = { status: 200, headers: [], body, durationMs: 0 }

  test.each(ways)('has all answers when it reads, though it has ended; served %s', async (_way, request) => {
    started = await start(60_000, answered)
    const { client, asked } = await unread(request)
    client.socket.end()
    client.socket.resume()
    await eventually(() => client.isClosed)
    expect(client.statuses).toEqual(Array.from({ length: asked }, () => 200))
  })

  test.each(ways)('makes a drain say that something was lost; served %s', async (_way, request) => {
    started = await start(60_000, answered)
    const { client } = await unread(request)
    expect(await started.connections.drain({ graceMs: 10, limitMs: 300 })).toBe(false)
    client.socket.destroy()
  })

  test.each(ways)('is let go when it has taken nothing for long; served %s', async (_way, request) => {
    started = await start(200, answered)
    const { client } = await unread(request)
    await eventually(() => started.sockets.every((socket) => socket.destroyed))
    client.socket.destroy()
  })
})

test('an answer that cannot be written ends its connection, and is told', async () => {
  started = await start(60_000, { status: 200, headers: [], body: undefined as never, durationMs: 0 })
  const client = new Client(started)
  client.socket.write(rawPost('{}'))
  await eventually(() => client.isClosed)
  expect(client.heard).toBe('')
  expect(started.told).toHaveLength(1)
})
