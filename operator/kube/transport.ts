/**
 * HTTP towards one API server: every call goes over kept-alive connections, has a deadline and a size limit, and its failures are
 * either an ApiError (the server said no) or a TransportError (there was no usable answer).
 *
 * It promises that calls never wait behind watches (they have connections of their own), and that nothing that may have changed
 * the cluster is ever sent twice. What the paths mean is left to `client.ts`.
 */
import type { IncomingMessage } from 'node:http'
import type { KubeConfig } from '@kubernetes/client-node'
import { pause, systemClock, type Clock } from './clock.ts'
import { createConnections, type Connections, type Purpose } from './connections.ts'
import { createCredentials, type Credentials, type Identity } from './credentials.ts'
import { ApiError, statusOf, TransportError } from './errors.ts'
import { exchange, readBody } from './exchange.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly contentType?: string
  /** True when sending it twice does the same as once; GETs are. Only such calls are repeated after a lost connection. */
  readonly idempotent?: boolean
  readonly signal?: AbortSignal
  /** For the whole call with its retries; of a stream: until its headers. Default 30 s. */
  readonly timeoutMs?: number
}

export interface Transport {
  /** The answer's JSON; undefined for an empty one. */
  json(call: Call): Promise<unknown>
  /** An answer that keeps coming; end it with the call's signal or by destroying it. */
  stream(call: Call): Promise<IncomingMessage>
  /** Ends all connections; calls under way fail. */
  close(): void
}

export interface TransportMetrics {
  /** A connection was opened: with TLS that is one handshake. */
  connected(purpose: Purpose): void
  /** One exchange ended; `code` is the HTTP status or how it failed. */
  answered(exchange: { method: string; code: string; durationMs: number }): void
  retried(call: { method: string; because: string }): void
}

export interface TransportOptions {
  readonly timeoutMs?: number
  /** Connections for calls. Default 16. */
  readonly maxSockets?: number
  /** Connections for streams, one each. Default 256. */
  readonly maxStreams?: number
  /** Of one answer. Default 64 MiB. */
  readonly maxBodyBytes?: number
  /** How often one call is repeated at most. Default 5. */
  readonly maxRetries?: number
  readonly userAgent?: string
  readonly metrics?: TransportMetrics
  readonly clock?: Clock
}

const DEFAULTS = {
  timeoutMs: 30_000,
  maxSockets: 16,
  maxStreams: 256,
  maxBodyBytes: 64 * 1024 * 1024,
  maxRetries: 5,
  userAgent: 'penstock-kube',
}

/** A Retry-After beyond this is the caller's to wait for: it gets the error, with `retryAfterMs`. */
const LONGEST_WAIT_MS = 10_000

/**
 * Whoever watches goes on by itself where a stream broke off, and waits longer each time: repeated here as well, each of its attempts on a server
 * that is away would be six. One is left for the kept-alive connection that had gone.
 */
const LOST_STREAMS_REPEATED = 1

const NO_METRICS: TransportMetrics = { connected() {}, answered() {}, retried() {} }

export function createTransport(config: KubeConfig, options: TransportOptions = {}): Transport {
  return transportOf(createCredentials(config), options)
}

/** As `createTransport`, for credentials that do not come from a kubeconfig. */
export function transportOf(credentials: Credentials, options: TransportOptions = {}): Transport {
  const metrics = options.metrics ?? NO_METRICS
  const settings = { ...DEFAULTS, clock: systemClock, ...options, metrics }
  const wire: Wire = { credentials, settings, connections: createConnections(settings) }
  return {
    json: (call) => withinDeadline(wire, call, (deadline) => answerOf(wire, call, deadline)),
    stream: (call) => withinDeadline(wire, call, (deadline) => streamOf(wire, call, deadline)),
    close: () => wire.connections.close(),
  }
}

interface Wire {
  readonly credentials: Credentials
  readonly connections: Connections
  readonly settings: typeof DEFAULTS & { readonly clock: Clock; readonly metrics: TransportMetrics }
}

interface Deadline {
  readonly signal: AbortSignal
  /** On the monotonic clock. */
  readonly atMs: number
}

/** Runs a call under one signal that ends with the caller's or with the deadline, whichever is first; leaves no timer behind. */
async function withinDeadline<T>(wire: Wire, call: Call, run: (deadline: Deadline) => Promise<T>): Promise<T> {
  const { clock } = wire.settings
  const timeoutMs = call.timeoutMs ?? wire.settings.timeoutMs
  const controller = new AbortController()
  const name = nameOf(call)
  const giveUp = () => controller.abort(new TransportError('aborted', `${name}: given up by the caller`))
  const cancel = clock.after(timeoutMs, () =>
    controller.abort(new TransportError('deadline', `${name}: no answer within ${timeoutMs} ms`)),
  )
  if (call.signal?.aborted === true) giveUp()
  call.signal?.addEventListener('abort', giveUp)
  try {
    return await run({ signal: controller.signal, atMs: clock.monotonicMs() + timeoutMs })
  } catch (error) {
    throw controller.signal.aborted && !(error instanceof ApiError) ? controller.signal.reason : error
  } finally {
    cancel()
    call.signal?.removeEventListener('abort', giveUp)
  }
}

async function answerOf(wire: Wire, call: Call, deadline: Deadline): Promise<unknown> {
  const limits = { deadline, whenLost: wire.settings.maxRetries }
  return persist(wire, call, limits, async (identity) => {
    const response = await send(wire, call, { identity, purpose: 'call', signal: deadline.signal })
    const body = await readBody(response, wire.settings.maxBodyBytes, nameOf(call))
    if (isSuccess(response)) return parsed(body, call)
    throw refusal(response, body, call)
  })
}

async function streamOf(wire: Wire, call: Call, deadline: Deadline): Promise<IncomingMessage> {
  const limits = { deadline, whenLost: LOST_STREAMS_REPEATED }
  return persist(wire, call, limits, async (identity) => {
    const response = await send(wire, call, { identity, purpose: 'stream', signal: deadline.signal })
    if (!isSuccess(response)) {
      throw refusal(response, await readBody(response, wire.settings.maxBodyBytes, nameOf(call)), call)
    }
    return boundTo(response, call.signal)
  })
}

/** The response ends with the caller's signal; the deadline was only for its headers. */
function boundTo(response: IncomingMessage, signal: AbortSignal | undefined): IncomingMessage {
  const end = () => response.destroy()
  if (signal?.aborted === true) end()
  signal?.addEventListener('abort', end)
  response.once('close', () => signal?.removeEventListener('abort', end))
  return response
}

async function send(
  wire: Wire,
  call: Call,
  way: { identity: Identity; purpose: Purpose; signal: AbortSignal },
): Promise<IncomingMessage> {
  const { metrics, userAgent, clock } = wire.settings
  const startedMs = clock.monotonicMs()
  const record = (code: string) =>
    metrics.answered({ method: call.method, code, durationMs: clock.monotonicMs() - startedMs })
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body))
  try {
    const response = await exchange({
      agent: wire.connections.agentFor(way.identity, way.purpose),
      server: way.identity.server,
      method: call.method,
      path: call.path,
      headers: {
        accept: 'application/json',
        'user-agent': userAgent,
        ...(body !== undefined && { 'content-type': call.contentType ?? 'application/json' }),
        ...way.identity.headers,
      },
      ...(body !== undefined && { body }),
      signal: way.signal,
      onConnected: () => metrics.connected(way.purpose),
    })
    record(String(response.statusCode))
    return response
  } catch (error) {
    record(error instanceof TransportError ? error.failure : 'connection')
    throw error
  }
}

interface Limits {
  readonly deadline: Deadline
  /** How often an attempt is repeated whose connection was lost. */
  readonly whenLost: number
}

/** Repeats an attempt as long as that is safe, useful and in time. */
async function persist<T>(
  wire: Wire,
  call: Call,
  { deadline, whenLost }: Limits,
  attempt: (identity: Identity) => Promise<T>,
): Promise<T> {
  const { clock, maxRetries, metrics } = wire.settings
  let lost = 0
  for (let retries = 0; ; retries++) {
    const identity = await wire.credentials.current()
    try {
      deadline.signal.throwIfAborted()
      return await attempt(identity)
    } catch (error) {
      if (error instanceof ApiError && error.code === 401) wire.credentials.reject(identity)
      const retry = deadline.signal.aborted ? undefined : retryOf(error, call, { retries, mayBeLost: lost < whenLost })
      const waitMs = retry?.waitMs ?? 0
      const inTime = waitMs <= LONGEST_WAIT_MS && clock.monotonicMs() + waitMs < deadline.atMs
      if (retry === undefined || !inTime || retries >= maxRetries) throw error
      if (retry.because === 'connection') lost += 1
      metrics.retried({ method: call.method, because: retry.because })
      await pause(clock, waitMs, deadline.signal)
    }
  }
}

interface Repeats {
  /** So far, for whatever reason. */
  readonly retries: number
  /** A lost connection is no reason any more when this is false. */
  readonly mayBeLost: boolean
}

interface Retry {
  readonly because: string
  readonly waitMs: number
}

/**
 * As client-go does it: an answer with Retry-After was not acted upon; a lost connection may have been, so only what is idempotent
 * is repeated. A first 401 may be a token that has just rotated.
 */
function retryOf(error: unknown, call: Call, { retries, mayBeLost }: Repeats): Retry | undefined {
  if (error instanceof ApiError) {
    if (error.code === 401) return retries === 0 ? { because: 'unauthorized', waitMs: 0 } : undefined
    const mayPass = error.code === 429 || error.code >= 500
    return mayPass && error.retryAfterMs !== undefined
      ? { because: String(error.code), waitMs: error.retryAfterMs }
      : undefined
  }
  const isIdempotent = call.idempotent ?? call.method === 'GET'
  const isLost = error instanceof TransportError && error.failure === 'connection'
  if (!isLost || !isIdempotent || !mayBeLost || !isReset(error.cause)) return undefined
  return { because: 'connection', waitMs: retries * 100 }
}

/** The connection was there and broke, as kept-alive connections do; a refused one says that nobody listens. */
function isReset(cause: unknown): boolean {
  const code = (cause as { code?: string } | undefined)?.code
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED'
}

function isSuccess(response: IncomingMessage): boolean {
  const code = response.statusCode ?? 0
  return code >= 200 && code < 300
}

function refusal(response: IncomingMessage, body: Buffer, call: Call): ApiError {
  const text = body.toString('utf8')
  const code = response.statusCode ?? 0
  const status = statusOf(code, jsonOr(undefined, text), text.slice(0, 300))
  const seconds = Number(response.headers['retry-after'] ?? NaN)
  const retryAfterMs = seconds >= 0 ? seconds * 1000 : status.retryAfterMs
  return new ApiError({ ...status, ...(retryAfterMs !== undefined && { retryAfterMs }) }, nameOf(call))
}

function parsed(body: Buffer, call: Call): unknown {
  if (body.length === 0) return undefined
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (error) {
    throw new TransportError('malformed', `${nameOf(call)}: the answer is not JSON`, error)
  }
}

function jsonOr(fallback: unknown, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return fallback
  }
}

function nameOf(call: Call): string {
  return `${call.method} ${call.path}`
}
