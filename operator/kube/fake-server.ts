import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'

/** A real HTTP server on a loopback port, for tests: it does what the test's handler does, however bad. */
export interface FakeServer {
  readonly url: string
  readonly config: KubeConfig
  /** Method and path with query, in order of arrival. */
  readonly requests: readonly string[]
  /** Connections that were ever opened. */
  readonly connections: number
  /** Cuts every connection. */
  dropAll(): void
  close(): Promise<void>
}

export type FakeHandler = (request: IncomingMessage, response: ServerResponse, body: string) => void

export async function startFakeServer(handler: FakeHandler, tls?: ServerOptions): Promise<FakeServer> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handler(request, response, Buffer.concat(chunks).toString('utf8')))
  }
  const server = tls === undefined ? createHttpServer(listener) : createHttpsServer(tls, listener)
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const dropAll = () => sockets.forEach((socket) => socket.destroy())
  return {
    url,
    config: configOf(url),
    requests,
    get connections() {
      return connections
    },
    dropAll,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        dropAll()
      }),
  }
}

export function configOf(server: string, user: object = {}, cluster: object = {}): KubeConfig {
  const config = new KubeConfig()
  config.loadFromClusterAndUser({ name: 'c', server, skipTLSVerify: false, ...cluster }, { name: 'u', ...user })
  return config
}

export function answerJson(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

export function answerStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  answerJson(
    response,
    code,
    { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: reason },
    headers,
  )
}

/** Polls until the condition holds. @throws Error that names what was waited for. */
export async function eventually(what: string, condition: () => boolean, deadlineMs = 10_000): Promise<void> {
  const startedMs = performance.now()
  while (!condition()) {
    if (performance.now() - startedMs > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
