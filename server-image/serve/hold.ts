/**
 * Refusals for want of time are told a little later: clients that ask again without a pause would otherwise take the processor that the
 * model needs. A request that waits so holds memory, and is told at once where many do.
 */
import { setTimeout as delay } from 'node:timers/promises'

const HOLD_MS = 100
const MAX_HELD_BYTES = 8 * 1024 * 1024
/** A request that waits, beside its body. */
const BYTES_OF_REQUEST = 2 * 1024

export class Hold {
  #heldBytes = 0

  /** Resolves when it may be told. @param atMostMs that it may wait */
  async wait(atMostMs: number, bodyBytes: number): Promise<void> {
    const bytes = bodyBytes + BYTES_OF_REQUEST
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return
    this.#heldBytes += bytes
    await delay(Math.min(HOLD_MS, atMostMs))
    this.#heldBytes -= bytes
  }
}
