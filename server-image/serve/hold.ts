/**
 * Refusals for want of time are told a little later: clients that ask again without a pause would otherwise take the processor that the
 * model needs. A request that waits so holds memory, and is told at once where many do.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BodyBudget } from './http/body-budget.ts'

const HOLD_MS = 100
/** A request that waits, beside its body. */
const BYTES_OF_REQUEST = 2 * 1024

export class Hold {
  readonly #budget: BodyBudget

  /** @param limitBytes of all requests that wait so together */
  constructor(limitBytes: number) {
    this.#budget = new BodyBudget(limitBytes)
  }

  /** Resolves when it may be told. @param atMostMs that it may wait */
  async wait(atMostMs: number, bodyBytes: number): Promise<void> {
    const bytes = bodyBytes + BYTES_OF_REQUEST
    if (atMostMs <= 0 || !this.#budget.take(bytes)) return
    await delay(Math.min(HOLD_MS, atMostMs))
    this.#budget.giveBack(bytes)
  }
}
