import { Code } from '@connectrpc/connect'
import { appended } from '../http/body.ts'
import type { BodyBudget } from '../http/body-budget.ts'
import { refusal } from './failure.ts'
import { tooManyFields } from './message-size.ts'

/** Of every message but a ModelInfer: names, at most. Some of them need no token. */
export const MAX_QUESTION_BYTES = 4096
const FRAME_HEAD_BYTES = 5

/**
 * Reads a call's bytes while there is room for them. Law: a call takes no more room than its message may have, whatever its frames say, so
 * that no one call leaves none to others.
 */
export class CountedBody {
  readonly #budget: BodyBudget
  #taken = 0
  #isOver = false

  constructor(budget: BodyBudget) {
    this.#budget = budget
  }

  /** The bytes of one small message, or of many: who reads them holds no more than one, and knows that it may not be longer. */
  async *passing(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of this.#counted(bytes)) {
      yield chunk
      this.#giveBack(this.#taken - FRAME_HEAD_BYTES - MAX_QUESTION_BYTES)
    }
  }

  /** All bytes at once, if the one message in them is one that may be decoded. */
  async *whole(bytes: AsyncIterable<Uint8Array>, maxBytes: number): AsyncIterable<Uint8Array> {
    let memory: Buffer = Buffer.alloc(0)
    let size = 0
    let wanted: number | undefined
    for await (const chunk of this.#counted(bytes)) {
      const most = FRAME_HEAD_BYTES + (wanted ?? maxBytes)
      memory = size === 0 ? Buffer.from(chunk) : appended(memory.subarray(0, size), memory, chunk, most)
      size += chunk.length
      if (size >= FRAME_HEAD_BYTES) wanted ??= messageBytes(memory)
      if (wanted !== undefined && wanted > maxBytes) {
        const message = `The message has ${wanted} bytes, and may have ${maxBytes}; send less at a time.`
        throw refusal(message, Code.ResourceExhausted)
      }
      if (wanted !== undefined && size > FRAME_HEAD_BYTES + wanted)
        throw refusal('Bytes follow the message, and this method takes one.', Code.InvalidArgument)
    }
    const all = memory.subarray(0, size)
    const problem = tooManyFields(all.subarray(FRAME_HEAD_BYTES))
    if (problem !== undefined) throw problem
    yield all
  }

  giveBack(): void {
    this.#isOver = true
    this.#giveBack(this.#taken)
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of bytes) {
      if (this.#isOver) return
      if (!this.#budget.take(chunk.length)) {
        throw refusal('Too many bytes of other calls are in memory; try again later.', Code.ResourceExhausted)
      }
      this.#taken += chunk.length
      yield chunk
    }
  }

  #giveBack(bytes: number): void {
    if (bytes <= 0) return
    this.#budget.giveBack(bytes)
    this.#taken -= bytes
  }
}

/** What the frame's head says (gRPC over HTTP/2, "Length-Prefixed-Message"). @param bytes with all of the head */
function messageBytes(bytes: Buffer): number {
  return bytes.readUInt32BE(1)
}
