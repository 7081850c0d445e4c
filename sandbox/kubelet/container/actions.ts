/** What probes and lifecycle hooks do: a request, a connection or a command, against one container, within a time. */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { Container, HttpGetAction, TcpSocketAction } from '../objects.ts'
import { startProcess } from './local-process.ts'
import type { Command } from './local-process.ts'
import type { ProcessLedger } from './process-ledger.ts'

/** `message` says what went wrong, or what a command printed, in the words of a kubelet. */
export interface ActionResult {
  readonly ok: boolean
  readonly message: string
}

export interface ActionTarget {
  readonly container: Container
  readonly host: string
  readonly ledger: ProcessLedger
  /** The container's environment and directory, with another program. */
  readonly commandOf: (argv: readonly string[]) => Command
}

export interface Action {
  readonly httpGet?: HttpGetAction
  readonly tcpSocket?: TcpSocketAction
  readonly exec?: { readonly command?: string[] }
}

const MAX_OUTPUT_BYTES = 10 * 1024

/** Does it once; never rejects. */
export async function perform(action: Action, target: ActionTarget, timeoutMs: number): Promise<ActionResult> {
  const { httpGet, tcpSocket, exec } = action
  if (httpGet !== undefined) return get(httpGet, target, timeoutMs)
  if (tcpSocket !== undefined) return dial(tcpSocket, target, timeoutMs)
  if (exec !== undefined) return run(exec.command ?? [], target, timeoutMs)
  return { ok: false, message: 'no handler that process pods have: use httpGet, tcpSocket or exec' }
}

async function get(action: HttpGetAction, target: ActionTarget, timeoutMs: number): Promise<ActionResult> {
  const port = portOf(action.port, target.container)
  if (port === undefined) return unknownPort(action.port)
  const host = action.host ?? target.host
  const secure = action.scheme?.toUpperCase() === 'HTTPS'
  const path = `/${(action.path ?? '').replace(/^\//, '')}`
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`
  const headers = Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name.toLowerCase(), value]))
  const options: RequestOptions = {
    host,
    port,
    path,
    agent: false,
    headers: { 'user-agent': 'kube-probe/1.34', accept: '*/*', ...headers, connection: 'close' },
    signal: AbortSignal.timeout(timeoutMs),
  }
  try {
    const response = await responseTo(options, secure)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 400) return { ok: true, message: '' }
    return { ok: false, message: `HTTP probe failed with statuscode: ${status}` }
  } catch (error) {
    const awaiting = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    return { ok: false, message: `Get "${url}": ${isTimeout(error) ? awaiting : dialError(error, host, port)}` }
  }
}

function responseTo(options: RequestOptions, secure: boolean): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = secure ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options)
    request.once('error', reject)
    request.once('response', (response) => {
      response.on('error', () => undefined)
      response.destroy()
      resolve(response)
    })
    request.end()
  })
}

async function dial(action: TcpSocketAction, target: ActionTarget, timeoutMs: number): Promise<ActionResult> {
  const port = portOf(action.port, target.container)
  if (port === undefined) return unknownPort(action.port)
  const host = action.host ?? target.host
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (result: ActionResult) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(result)
    }
    const timer = setTimeout(() => end({ ok: false, message: `dial tcp ${host}:${port}: i/o timeout` }), timeoutMs)
    socket.once('connect', () => end({ ok: true, message: '' }))
    socket.once('error', (error) => end({ ok: false, message: dialError(error, host, port) }))
  })
}

async function run(argv: readonly string[], target: ActionTarget, timeoutMs: number): Promise<ActionResult> {
  const output: Buffer[] = []
  let size = 0
  const keep = (_: string, chunk: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) output.push(chunk.subarray(0, MAX_OUTPUT_BYTES - size))
    size += chunk.length
  }
  try {
    const child = await startProcess(target.commandOf(argv), target.ledger, keep)
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill()
    }, timeoutMs)
    const { exitCode } = await child.ended
    clearTimeout(timer)
    if (timedOut)
      return {
        ok: false,
        message: `command timed out: ${JSON.stringify(argv.join(' '))} timed out after ${timeoutMs / 1000}s`,
      }
    return { ok: exitCode === 0, message: Buffer.concat(output).toString() || `command exited with ${exitCode}` }
  } catch (error) {
    return { ok: false, message: (error as Error).message }
  }
}

function portOf(port: number | string, container: Container): number | undefined {
  if (typeof port === 'number') return port
  return container.ports?.find(({ name }) => name === port)?.containerPort
}

function unknownPort(port: number | string): ActionResult {
  return { ok: false, message: `couldn't find port: ${port}: no port of the container has this name` }
}

function isTimeout(error: unknown): boolean {
  const { name, cause } = error as { name?: string; cause?: { name?: string } }
  return name === 'TimeoutError' || cause?.name === 'TimeoutError' || name === 'AbortError'
}

function dialError(error: unknown, host: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return `dial tcp ${host}:${port}: connect: connection refused`
  if (code === 'ECONNRESET') return 'read: connection reset by peer'
  return message
}
