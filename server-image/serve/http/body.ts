import type { IncomingMessage } from 'node:http'
import { ApiError } from '../api-error.ts'
import type { BodyBudget } from './body-budget.ts'

export interface BodyLimits {
  /** Of one body. */
  readonly maxBytes: number
  /** Of all of them. */
  readonly budget: BodyBudget
}

export type Body =
  /** Law: its bytes are taken from the budget, and whoever got it gives them back when the request is answered. */
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** It is more than may come, of one or of all; what follows was not read. */
  | { readonly kind: 'refused'; readonly error: ApiError }
  /** The client left, or was too slow and was dropped: nobody waits for an answer. */
  | { readonly kind: 'gone' }

/** Why a body of the announced size is not wanted; undefined when it may come, or announces nothing. */
export function refusalOf({ headers }: IncomingMessage, { maxBytes, budget }: BodyLimits): ApiError | undefined {
  const announced = Number(headers['content-length'] ?? 0)
  if (announced > maxBytes) return tooLarge(maxBytes)
  return budget.hasRoomFor(announced) ? undefined : noRoom()
}

const EMPTY = Buffer.alloc(0)

/** Reads a request's body into memory; calls back once. */
export function readBody(request: IncomingMessage, limits: BodyLimits, done: (body: Body) => void): void {
  const unwanted = refusalOf(request, limits)
  if (unwanted !== undefined) return done({ kind: 'refused', error: unwanted })
  const { maxBytes, budget } = limits
  const most = Number(request.headers['content-length'] ?? maxBytes)
  let bytes: Buffer = EMPTY
  let size = 0

  const finish = (body: Body) => {
    request.off('data', onData).off('end', onEnd).off('close', onClose)
    if (body.kind !== 'whole') budget.giveBack(size)
    done(body)
  }
  const refuse = (error: ApiError) => {
    request.pause()
    finish({ kind: 'refused', error })
  }
  const onData = (chunk: Buffer) => {
    if (size + chunk.length > maxBytes) return refuse(tooLarge(maxBytes))
    // As they arrive, not as they are announced: a client that sends nothing takes no room from others.
    if (!budget.take(chunk.length)) return refuse(noRoom())
    bytes = size === 0 ? chunk : appended(bytes.subarray(0, size), bytes, chunk, most)
    size += chunk.length
  }
  const onEnd = () => finish({ kind: 'whole', bytes: bytes.length === size ? bytes : bytes.subarray(0, size) })
  const onClose = () => finish({ kind: 'gone' })
  request.on('data', onData).on('end', onEnd).on('close', onClose)
}

/** Law: memory is at most twice what has arrived, however small the chunks, and never more than what may arrive. */
export function appended(bytes: Buffer, memory: Buffer, chunk: Uint8Array, most: number): Buffer {
  const needed = bytes.length + chunk.length
  const roomy = needed <= memory.length ? memory : Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * needed, most)))
  if (roomy !== memory) bytes.copy(roomy)
  roomy.set(chunk, bytes.length)
  return roomy
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError('too_large', `The body is larger than ${maxBytes} bytes; send less at a time.`)
}

function noRoom(): ApiError {
  const message = 'The server holds as many bytes of requests as it may; try again later.'
  return new ApiError('overloaded', message, { retryAfterSeconds: 1 })
}
