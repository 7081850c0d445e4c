/** Copies of answered requests, sent to the peer in the background: no user waits for them, and none can be harmed. */
import { performance } from 'node:perf_hooks'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { isOk } from '../answer.ts'
import type { PeerLink } from './peer-link.ts'
import type { Tally } from './tally.ts'

/** Copies on their way at once; more are dropped, and counted as skipped. */
const MAX_IN_FLIGHT = 32

export class Shadow {
  readonly #link: PeerLink
  readonly #tally: Tally
  #inFlight = 0

  constructor(link: PeerLink, tally: Tally) {
    this.#link = link
    this.#tally = tally
  }

  /** @param own what the user got */
  copy(request: InferenceRequest, own: Answer, planId: number): void {
    const permission = this.#inFlight < MAX_IN_FLIGHT ? this.#link.breaker.ask(performance.now()) : 'skip'
    if (permission === 'skip') {
      this.#tally.skipped += 1
      return
    }
    this.#inFlight += 1
    void this.#ask(request, own, planId).finally(() => (this.#inFlight -= 1))
  }

  async #ask(request: InferenceRequest, own: Answer, planId: number): Promise<void> {
    const outcome = await this.#link.ask(request, planId)
    if (outcome.kind === 'ok') this.#tally.ok(outcome.answer.durationMs)
    else if (outcome.kind === 'foreign') this.#tally.foreign += 1
    else if (isOk(own)) this.#tally.error(outcome.why)
    else this.#tally.rejected += 1
  }
}
