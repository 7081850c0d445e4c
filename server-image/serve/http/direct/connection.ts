/**
 * One client's connection, from its acceptance until it closes or sends something that is not plain: then node:http has it, with every
 * byte that was not answered.
 *
 * Law: requests are answered one after the other; what comes behind one that is being answered waits, unread.
 */
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Answer } from '../../answer.ts'
import type { InferenceRequest, InferenceRoute } from '../../inference.ts'
import type { BodyBudget } from '../body-budget.ts'
import { MAX_HEADER_BYTES } from '../limits.ts'
import { readHead, type RequestHead } from './request-head.ts'
import type { Wire } from './wire.ts'

export interface DirectOptions {
  /** The route of a request that may be answered this way; undefined sends its connection to node:http. */
  readonly routeOf: (head: RequestHead) => InferenceRoute | undefined
  /** Never rejects, but for faults of the server. */
  readonly answer: (route: InferenceRoute, request: InferenceRequest) => Promise<Answer>
  /** Of request bodies, together with those that node:http reads. */
  readonly budget: BodyBudget
  /** Whether answers are to end their connections, now. */
  readonly isClosing: () => boolean
  readonly onInternalError: (error: unknown) => void
  readonly wire: Wire
  /** Takes a connection with what was read of it and not answered. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void
}

/** Of line, headers and body. Larger requests come in many pieces, which node:http gathers, and its part in their cost is small. */
const MAX_REQUEST_BYTES = 256 * 1024
const END_OF_HEAD = '\r\n\r\n'
const NOTHING = Buffer.alloc(0)

/** A request whose body has not come whole. */
interface Arriving {
  readonly head: RequestHead
  readonly route: InferenceRoute
  readonly bodyStart: number
  readonly startedAt: number
  readonly pieces: Buffer[]
  /** Of the pieces. */
  bytes: number
}

export class DirectConnection {
  readonly #socket: Socket
  readonly #options: DirectOptions
  #arriving: Arriving | undefined
  #behind: Buffer = NOTHING
  #isAnswering = false
  #hasEnded = false
  #asked = 0
  #askedBefore = 0
  #quietSince = performance.now()
  #latestText = ''
  #latestHead: RequestHead | undefined

  constructor(socket: Socket, options: DirectOptions) {
    this.#socket = socket
    this.#options = options
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', ignore)
  }

  get isAnswering(): boolean {
    return this.#isAnswering
  }

  /** Since when a request comes that is not whole yet, by `performance.now()`; undefined when none does. */
  get arrivingSince(): number | undefined {
    return this.#arriving?.startedAt
  }

  /** True when a whole request was read. */
  get hasAsked(): boolean {
    return this.#asked > 0
  }

  /**
   * For how long nothing was asked, in milliseconds, as far as was seen by earlier calls: so that a request need not look at the clock.
   * @param now of `performance.now()`
   */
  quietMs(now: number): number {
    if (this.#isAnswering || this.#asked !== this.#askedBefore) {
      this.#askedBefore = this.#asked
      this.#quietSince = now
    }
    return now - this.#quietSince
  }

  /** Lets node:http have the connection. Not while it is being answered. */
  handOver(): void {
    this.#handOver(this.#arriving === undefined ? NOTHING : this.#takePieces())
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isAnswering) {
      this.#socket.pause()
      this.#behind = this.#behind.length === 0 ? chunk : Buffer.concat([this.#behind, chunk])
    } else {
      if (this.#arriving === undefined) this.#begin(chunk)
      else this.#goOn(chunk, this.#arriving)
    }
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    // Nobody who ends in the middle of a request waits for its answer.
    if (!this.#isAnswering) this.#socket.destroySoon()
  }

  readonly #onClose = (): void => {
    if (this.#arriving !== undefined) this.#takePieces()
  }

  #begin(chunk: Buffer): void {
    const headEnd = chunk.indexOf(END_OF_HEAD, 0, 'latin1')
    const head =
      headEnd === -1 || headEnd > MAX_HEADER_BYTES
        ? undefined
        : this.#readHead(chunk.toString('latin1', 0, headEnd + 2))
    const route = head === undefined ? undefined : this.#options.routeOf(head)
    if (head === undefined || route === undefined) return this.#handOver(chunk)
    const bodyStart = headEnd + END_OF_HEAD.length
    const size = bodyStart + head.bodyBytes
    if (chunk.length > size || size > MAX_REQUEST_BYTES) return this.#handOver(chunk)
    if (!this.#options.budget.take(chunk.length - bodyStart)) return this.#handOver(chunk)
    if (chunk.length === size) this.#answer(route, head, chunk.subarray(bodyStart))
    else this.#arriving = { head, route, bodyStart, startedAt: performance.now(), pieces: [chunk], bytes: chunk.length }
  }

  /** A client's requests mostly have the same head. */
  #readHead(text: string): RequestHead | undefined {
    if (text !== this.#latestText) {
      this.#latestHead = readHead(text)
      this.#latestText = text
    }
    return this.#latestHead
  }

  #goOn(chunk: Buffer, arriving: Arriving): void {
    const { head, route, bodyStart, pieces } = arriving
    const size = bodyStart + head.bodyBytes
    const isTaken = this.#options.budget.take(chunk.length)
    if (!isTaken || arriving.bytes + chunk.length > size) {
      if (isTaken) this.#options.budget.giveBack(chunk.length)
      return this.#handOver(Buffer.concat([this.#takePieces(), chunk]))
    }
    pieces.push(chunk)
    arriving.bytes += chunk.length
    if (arriving.bytes < size) return
    this.#arriving = undefined
    this.#answer(route, head, Buffer.concat(pieces).subarray(bodyStart))
  }

  /** What has come of the request, of which nothing is in the budget any more. */
  #takePieces(): Buffer {
    const { pieces, bytes, bodyStart } = this.#arriving as Arriving
    this.#arriving = undefined
    this.#options.budget.giveBack(bytes - bodyStart)
    return Buffer.concat(pieces)
  }

  #answer(route: InferenceRoute, { target, headers, rawHeaders }: RequestHead, body: Buffer): void {
    this.#isAnswering = true
    this.#asked += 1
    const request = { url: target, headers, rawHeaders, body, receivedAt: performance.now() }
    this.#options.answer(route, request).then(
      (answer) => {
        this.#options.budget.giveBack(body.length)
        this.#send(answer)
      },
      (error: unknown) => {
        this.#options.budget.giveBack(body.length)
        this.#options.onInternalError(error)
        this.#socket.destroy()
      },
    )
  }

  #send(answer: Answer): void {
    const socket = this.#socket
    if (socket.destroyed) return
    const isLast = this.#hasEnded || this.#options.isClosing()
    const wire = this.#options.wire.of(answer, isLast)
    const isTaken = typeof wire === 'string' ? socket.write(wire, 'latin1') : socket.write(wire)
    if (isLast) socket.destroySoon()
    else if (isTaken) this.#next()
    else socket.once('drain', () => this.#next())
  }

  #next(): void {
    this.#isAnswering = false
    if (this.#behind.length > 0) {
      const behind = this.#behind
      this.#behind = NOTHING
      this.#begin(behind)
    }
    if (!this.#isAnswering && this.#socket.isPaused()) this.#socket.resume()
  }

  #handOver(bytes: Buffer): void {
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', ignore)
    this.#options.handOver(this.#socket, bytes)
  }
}

function ignore(): void {
  // A connection that fails is closed, and whoever waits for its close is told.
}
