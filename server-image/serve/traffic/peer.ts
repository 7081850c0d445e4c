/** Asks another revision's pods for an answer, over kept-alive connections, within a budget of time. */
import { performance } from 'node:perf_hooks'
import type { Dispatcher } from 'undici'
import { DURATION_HEADER, RELAYED_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import type { PlanPeer } from '../../../protocol/plan.ts'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { MAX_HEADER_BYTES } from '../http/limits.ts'
import { headerBytes, sentOn } from './forwarding.ts'
import { PeerConnections, type PeerIdentity } from './peer-connections.ts'

export interface PeerAnswer extends Answer {
  /** The revision that it says it comes from; undefined when no Penstock server gave it. */
  readonly revision: string | undefined
  /** Why it had to be asked twice; a peer that dies of a request must not look well because another of its pods did not. */
  readonly lost?: string
}

/** There is no answer: the peer is dead or speaks no HTTP, was too slow, said too much, or we had no room for what it said. */
export class PeerFailure extends Error {
  readonly by: 'connection' | 'time' | 'size' | 'room'

  constructor(message: string, by: PeerFailure['by'], cause?: unknown) {
    super(message, { cause })
    this.by = by
  }
}

export const MAX_ANSWER_BYTES = 32 * 1024 * 1024
/** Of all answers that are on their way: a peer that talks must not take the memory that we answer with. */
const MAX_BYTES_ON_THEIR_WAY = 64 * 1024 * 1024
/** What we and the HTTP client add to a request's headers. */
const ADDED_HEADER_BYTES = 512

/** A connection that was closed as we wrote to it: nothing came back, and inference changes nothing, so it is safe to ask again. */
const CONNECTION_LOST: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

export class Peer {
  readonly #connections: PeerConnections
  readonly #revision: string
  readonly #room: Room = { left: MAX_BYTES_ON_THEIR_WAY }

  constructor(to: PlanPeer, identity?: PeerIdentity) {
    this.#revision = to.revision
    this.#connections = new PeerConnections(to, identity)
  }

  /**
   * @param budgetMs from the question to the last byte of the answer
   * @throws PeerFailure (as a rejection)
   */
  async ask(request: InferenceRequest, budgetMs: number): Promise<PeerAnswer> {
    const headers = sentOn(request.rawHeaders)
    headers.push(RELAYED_HEADER, this.#revision)
    if (headerBytes(request.url, headers) > MAX_HEADER_BYTES - ADDED_HEADER_BYTES) {
      throw new PeerFailure('its headers leave no room for ours', 'room')
    }
    const question = { method: 'POST', path: request.url, headers, body: request.body } as const
    // Its first use loads the client's code, which is no time of the peer's.
    const pool = await this.#connections.pool
    const limit = { budgetMs, deadline: performance.now() + budgetMs }
    try {
      return await this.#exchange(pool, question, limit)
    } catch (error) {
      const isLost =
        error instanceof PeerFailure && CONNECTION_LOST.has((error.cause as NodeJS.ErrnoException | undefined)?.code)
      if (!isLost || performance.now() >= limit.deadline) throw error
      return { ...(await this.#exchange(pool, question, limit)), lost: error.message }
    }
  }

  /** Lets requests on their way come back first. */
  close(): void {
    this.#connections.close()
  }

  #exchange(pool: Dispatcher, question: Dispatcher.DispatchOptions, limit: Limit): Promise<PeerAnswer> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(resolve, reject, { ...limit, room: this.#room })
      try {
        pool.dispatch(question, exchange)
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

/** Bytes that answers on their way may still bring, together. */
interface Room {
  left: number
}

/** One question and its answer; settles its promise exactly once. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: PeerAnswer) => void
  readonly #reject: (failure: PeerFailure) => void
  readonly #askedAt = performance.now()
  readonly #room: Room
  #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #status = 0
  #headers: string[] = []
  #revision: string | undefined
  #durationUs = NaN
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(
    resolve: (answer: PeerAnswer) => void,
    reject: (failure: PeerFailure) => void,
    { budgetMs, deadline, room }: Limit & { readonly room: Room },
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#room = room
    const tooSlow = () => this.#giveUp(new PeerFailure(`no answer within ${Math.round(budgetMs)} ms`, 'time'))
    // A timer that comes late says that we slept, not that the peer did: its answer may lie there unread. It gets that time back.
    const timeIsUp = () => {
      this.#timer = setTimeout(tooSlow, Math.min(performance.now() - deadline, budgetMs))
    }
    this.#timer = setTimeout(timeIsUp, Math.max(0, deadline - performance.now()))
  }

  fail(cause: unknown): void {
    if (this.#settled) return
    this.#settle()
    const { code, message } = cause as NodeJS.ErrnoException
    const why = message === '' || message === undefined ? (code ?? 'no connection') : message
    this.#reject(cause instanceof PeerFailure ? cause : new PeerFailure(why, 'connection', cause))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('its time was up before it was sent'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    if (status < 200) return
    this.#status = status
    const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[]
    this.#headers = sentOn(raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))))
    const revision = headers[REVISION_HEADER]
    this.#revision = typeof revision === 'string' ? revision : undefined
    this.#durationUs = Number(headers[DURATION_HEADER] ?? NaN)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    if (this.#bytes + chunk.length > MAX_ANSWER_BYTES) {
      this.#giveUp(new PeerFailure(`an answer of more than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`, 'size'))
    } else if (chunk.length > this.#room.left) {
      this.#giveUp(new PeerFailure('too many bytes of other answers are on their way', 'room'))
    } else {
      this.#bytes += chunk.length
      this.#room.left -= chunk.length
      this.#chunks.push(chunk)
    }
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

  #giveUp(failure: PeerFailure): void {
    this.fail(failure)
    this.#controller?.abort(failure)
  }

  #settle(): void {
    this.#settled = true
    this.#room.left += this.#bytes
    clearTimeout(this.#timer)
  }
}
