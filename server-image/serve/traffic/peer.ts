/** Asks another revision's pods for an answer, over kept-alive connections, within a budget of time. */
import { performance } from 'node:perf_hooks'
import { Pool, type Dispatcher } from 'undici'
import { DURATION_HEADER, RELAYED_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { withoutConnectionHeaders } from './forwarding.ts'

export interface PeerAnswer extends Answer {
  /** The revision that it says it comes from; undefined when no Penstock server gave it. */
  readonly revision: string | undefined
  /** Why it had to be asked twice; a peer that dies of a request must not look well because another of its pods did not. */
  readonly lost?: string
}

/** The peer is dead, too slow, or speaks no HTTP: what the breaker is for. */
export class PeerFailure extends Error {}

/** Cause of a failure: it did not answer within its budget. */
export class TooSlow extends Error {}

/**
 * Shorter than the time that a draining server leaves idle connections open, so that it is always the asking side that closes
 * them and no request meets a closing connection.
 */
const IDLE_MS = 2_000
const CONNECT_TIMEOUT_MS = 800
const MAX_CONNECTIONS = 256
/** New connections go to whichever pod the Service picks: without an end to the old ones, pods that came later would get none. */
const MAX_REQUESTS_PER_CONNECTION = 2_000
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** A connection that was closed as we wrote to it: nothing came back, and inference changes nothing, so it is safe to ask again. */
const CONNECTION_LOST: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

export class Peer {
  readonly #pool: Pool

  /** @param address `host:port` */
  constructor(address: string) {
    this.#pool = new Pool(`http://${address}`, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      maxRequestsPerClient: MAX_REQUESTS_PER_CONNECTION,
      maxResponseSize: MAX_ANSWER_BYTES,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /**
   * @param budgetMs from the question to the last byte of the answer
   * @throws PeerFailure (as a rejection)
   */
  async ask(request: InferenceRequest, planId: number, budgetMs: number): Promise<PeerAnswer> {
    const limit = { budgetMs, deadline: performance.now() + budgetMs }
    try {
      return await this.#exchange(request, planId, limit)
    } catch (error) {
      const isLost =
        error instanceof PeerFailure && CONNECTION_LOST.has((error.cause as NodeJS.ErrnoException | undefined)?.code)
      if (!isLost || performance.now() >= limit.deadline) throw error
      return { ...(await this.#exchange(request, planId, limit)), lost: error.message }
    }
  }

  /** Lets requests on their way come back first. */
  close(): void {
    void this.#pool.close().catch(() => undefined)
  }

  #exchange(request: InferenceRequest, planId: number, limit: Limit): Promise<PeerAnswer> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(resolve, reject, limit)
      const headers = withoutConnectionHeaders(request.rawHeaders, request.headers.connection)
      headers.push(RELAYED_HEADER, String(planId))
      const question = { method: 'POST', path: request.url, headers, body: request.body } as const
      try {
        this.#pool.dispatch(question, exchange)
      } catch (error) {
        exchange.fail(error)
      }
    })
  }
}

interface Limit {
  readonly budgetMs: number
  readonly deadline: number
}

/** One question and its answer; settles its promise exactly once. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: PeerAnswer) => void
  readonly #reject: (failure: PeerFailure) => void
  readonly #askedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #status = 0
  #headers: string[] = []
  #revision: string | undefined
  #durationUs = NaN
  readonly #chunks: Buffer[] = []

  constructor(
    resolve: (answer: PeerAnswer) => void,
    reject: (failure: PeerFailure) => void,
    { budgetMs, deadline }: Limit,
  ) {
    this.#resolve = resolve
    this.#reject = reject
    const tooSlow = () => {
      const failure = new TooSlow(`no answer within ${Math.round(budgetMs)} ms`)
      this.fail(failure)
      this.#controller?.abort(failure)
    }
    this.#timer = setTimeout(tooSlow, Math.max(0, deadline - performance.now()))
  }

  fail(cause: unknown): void {
    if (this.#settled) return
    this.#settle()
    const { code, message } = cause as NodeJS.ErrnoException
    const why = message === '' || message === undefined ? (code ?? 'no connection') : message
    this.#reject(new PeerFailure(why, { cause }))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('its time was up before it was sent'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    if (status < 200) return
    this.#status = status
    const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[]
    const connection = headers['connection']
    this.#headers = withoutConnectionHeaders(
      raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))),
      typeof connection === 'string' ? connection : undefined,
    )
    const revision = headers[REVISION_HEADER]
    this.#revision = typeof revision === 'string' ? revision : undefined
    this.#durationUs = Number(headers[DURATION_HEADER] ?? NaN)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#settled) return
    this.#settle()
    const [only] = this.#chunks
    const isTimed = Number.isFinite(this.#durationUs) && this.#durationUs >= 0
    this.#resolve({
      status: this.#status,
      headers: this.#headers,
      body: this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks),
      durationMs: isTimed ? this.#durationUs / 1000 : performance.now() - this.#askedAt,
      revision: this.#revision,
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
  }

  #settle(): void {
    this.#settled = true
    clearTimeout(this.#timer)
  }
}
