/** For tests only: real servers on free ports with the models of model/testdata, and words to talk to them. */
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { DEFAULT_MONITORING } from '../monitor/settings.ts'
import { DEFAULT_LIMITS } from './http/limits.ts'
import { startServer, type RunningServer } from './server.ts'
import type { ServerOptions } from './server-options.ts'

export interface TestServer extends RunningServer {
  readonly url: string
  readonly address: string
}

/** @param model name of a file in model/testdata, without its ending */
export function testOptions(model: string, changes: Partial<ServerOptions> = {}): ServerOptions {
  return {
    modelPath: modelPath(model),
    modelName: 'm',
    modelVersion: '7',
    serverVersion: '0.0.0',
    revision: 'own',
    host: '127.0.0.1',
    port: 0,
    batching: { maxRows: 64, maxDelayMs: 0, maxQueuedRows: 4096, deadlineMs: 10_000 },
    maxInstances: 1024,
    maxBodyBytes: 4 * 1024 * 1024,
    maxInflightBodyBytes: 256 * 1024 * 1024,
    limits: DEFAULT_LIMITS,
    warmUpRuns: 1,
    runtime: {},
    thread: 'auto',
    runLimitMs: 60_000,
    onLost: (error) => {
      throw error
    },
    relayTimeoutMs: 1_000,
    drain: { graceMs: 200, limitMs: 5_000 },
    monitoring: DEFAULT_MONITORING,
    log: pino({ level: 'silent' }),
    processMetrics: false,
    ...changes,
  }
}

export function modelPath(model: string): string {
  return join(import.meta.dirname, '../model/testdata', `${model}.onnx`)
}

/** Ready when it resolves. */
export async function startTestServer(model: string, changes: Partial<ServerOptions> = {}): Promise<TestServer> {
  const server = await startServer(testOptions(model, changes))
  await server.ready
  const address = `127.0.0.1:${server.port}`
  return { ...server, address, url: `http://${address}` }
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly json: unknown
}

/** @param body text is sent as it is, anything else as JSON */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(url, {
    method: 'POST',
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: response.status, headers: response.headers, json: await response.json() }
}

export async function get(url: string): Promise<Reply> {
  const response = await fetch(url)
  return { status: response.status, headers: response.headers, json: await response.json() }
}

/** Writes raw bytes and gives back all that comes until the server closes the connection. */
export function talkTo(
  { port }: Pick<TestServer, 'port'>,
  text: string,
  then?: (socket: Socket) => void,
): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(text)
      then?.(socket)
    })
    socket.on('data', (chunk) => (heard += String(chunk)))
    socket.on('error', () => undefined).on('close', () => resolve(heard))
  })
}

/** @param headers lines, each with its end */
export function rawPost(body: string, headers = ''): string {
  return `POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`
}

/** Polls until the condition holds. @throws Error when it still does not after ten seconds */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('It did not come to be within ten seconds.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
