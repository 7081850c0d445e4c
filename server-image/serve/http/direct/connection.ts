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
  /** Of a client that takes nothing of its answer, in milliseconds. */
  readonly keepAliveMs: number
  readonly wire: Wire
  /** Takes a connection with what was read of it and not answered; it reads as any other from then on. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void
}

/** Of line, headers and body. Larger requests come in many pieces, which node:http gathers, and its part in their cost is small. */
const MAX_REQUEST_BYTES = 256 * 1024
/** Of a head that is remembered: more than clients send, and little for every connection to hold. */
const MAX_REMEMBERED_BYTES = 2 * 1024
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
  /** Whoever made it lets it read by `take`. */
  readonly #socket: Socket
  readonly #options: DirectOptions
  #isHandedOver = false
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
    socket.on('end', this.#onEnd).on('close', this.#onClose).on('error', ignore)
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

  /**
   * Takes what was read.
   * @param bytes for the length of the call
   * @returns false when nothing more is to be read
   */
  take(bytes: Buffer): boolean {
    if (this.#isHandedOver) return this.#socket.push(Buffer.from(bytes))
    if (this.#isAnswering) {
      this.#behind = this.#behind.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#behind, bytes])
      this.#socket.pause()
    } else if (this.#arriving === undefined) this.#begin(bytes)
    else this.#goOn(bytes, this.#arriving)
    return true
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (this.#isAnswering) return
    // Nobody who ends in the middle of a request waits for its answer.
    if (this.#arriving !== undefined) this.#takePieces()
    this.#socket.destroySoon()
  }

  readonly #onClose = (): void => {
    if (this.#arriving !== undefined) this.#takePieces()
  }

  readonly #onUnread = (): void => {
    this.#socket.destroy()
  }

  #begin(chunk: Buffer): void {
    const headEnd = chunk.indexOf(END_OF_HEAD, 0, 'latin1')
    const head =
      headEnd === -1 || headEnd > MAX_HEADER_BYTES
        ? undefined
        : this.#readHead(chunk.toString('latin1', 0, headEnd + 2))
    const route = head === undefined ? undefined : this.#options.routeOf(head)
    if (head === undefined || route === undefined) return this.#handOver(Buffer.from(chunk))
    const bodyStart = headEnd + END_OF_HEAD.length
    const size = bodyStart + head.bodyBytes
    const isPlain = chunk.length <= size && size <= MAX_REQUEST_BYTES
    if (!isPlain || !this.#options.budget.take(chunk.length - bodyStart)) return this.#handOver(Buffer.from(chunk))
    if (chunk.length === size) return this.#answer(route, head, Buffer.from(chunk.subarray(bodyStart)))
    const pieces = [Buffer.from(chunk)]
    this.#arriving = { head, route, bodyStart, startedAt: performance.now(), pieces, bytes: chunk.length }
  }

  /** A client's requests mostly have the same head. */
  #readHead(text: string): RequestHead | undefined {
    if (text === this.#latestText) return this.#latestHead
    const head = readHead(text)
    if (text.length <= MAX_REMEMBERED_BYTES) {
      this.#latestHead = head
      this.#latestText = text
    }
    return head
  }

  #goOn(chunk: Buffer, arriving: Arriving): void {
    const { head, route, bodyStart, pieces } = arriving
    const size = bodyStart + head.bodyBytes
    const isTaken = this.#options.budget.take(chunk.length)
    if (!isTaken || arriving.bytes + chunk.length > size) {
      if (isTaken) this.#options.budget.giveBack(chunk.length)
      return this.#handOver(Buffer.concat([this.#takePieces(), chunk]))
    }
    pieces.push(Buffer.from(chunk))
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
    const { answer, budget, onInternalError } = this.#options
    answer(route, request)
      .then(
        (answered) => {
          budget.giveBack(body.length)
          this.#send(answered)
        },
        (error: unknown) => {
          budget.giveBack(body.length)
          throw error
        },
      )
      .catch((error: unknown) => {
        onInternalError(error)
        this.#socket.destroy()
      })
  }

  /** Law: an answer is under way until the client has taken it, or for too long. */
  #send(answer: Answer): void {
    const socket = this.#socket
    if (socket.destroyed) return
    const isLast = this.#hasEnded || this.#options.isClosing()
    const wire = this.#options.wire.of(answer, isLast)
    if (typeof wire === 'string') socket.write(wire, 'latin1')
    else socket.write(wire)
    const isTaken = socket.writableLength === 0
    if (!isTaken) socket.setTimeout(this.#options.keepAliveMs, this.#onUnread)
    if (isLast) socket.destroySoon()
    else if (isTaken) this.#next()
    else
      socket.write(NOTHING, () => {
        socket.setTimeout(0, this.#onUnread)
        if (!socket.destroyed) this.#next()
      })
  }

  #next(): void {
    this.#isAnswering = false
    if (this.#behind.length > 0) {
      const behind = this.#behind
      this.#behind = NOTHING
      this.#begin(behind)
    } else if (this.#hasEnded) this.#socket.destroySoon()
    if (!this.#isAnswering && this.#socket.isPaused()) this.#socket.resume()
  }

  #handOver(bytes: Buffer): void {
    this.#isHandedOver = true
    this.#latestHead = undefined
    this.#latestText = ''
    this.#socket.off('end', this.#onEnd).off('close', this.#onClose).off('error', ignore)
    this.#options.handOver(this.#socket, bytes)
  }
}

function ignore(): void {
  // A connection that fails is closed, and whoever waits for its close is told.
}
