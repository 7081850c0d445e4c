/** Copies of answered requests, sent to the peer in the background: no user waits for them, and none can be harmed. */
import { performance } from 'node:perf_hooks'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import type { PeerLink } from './peer-link.ts'
import type { Tally } from './tally.ts'

/** Copies on their way at once; more are dropped: evidence against nobody. */
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
  copy(request: InferenceRequest, own: Answer): void {
    if (this.#inFlight >= MAX_IN_FLIGHT) {
      this.#tally.rejected += 1
      return
    }
    if (this.#link.breaker.ask(performance.now()) === 'skip') {
      this.#tally[this.#link.keptAway] += 1
      return
    }
    this.#inFlight += 1
    void this.#ask(request, own).finally(() => (this.#inFlight -= 1))
  }

  async #ask(request: InferenceRequest, own: Answer): Promise<void> {
    const outcome = await this.#link.askPatiently(request)
    if (outcome.kind === 'ok') this.#tally.ok(outcome.answer.durationMs)
    else if (outcome.kind === 'foreign') this.#tally.foreign += 1
    else if (this.#link.blame(outcome, own) === 'error') this.#tally.error(outcome.why)
    else this.#tally.rejected += 1
  }
}
