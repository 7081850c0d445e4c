/**
 * Circuit breaker towards one peer: stops sending to a peer that is dead or does not answer in time.
 *
 * An answer of any status closes the matter, as the peer lives: whether its answers are good is for the gates to judge, and they
 * need them as evidence. While it is open, one copy of a request is sent as a probe every `PROBE_INTERVAL_MS`; no user waits for it.
 */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** What may be done with a request that is meant for the peer. */
export type Permission = 'send' | 'skip' | 'skip-and-probe'

export const PROBE_INTERVAL_MS = 500
const MAX_CONSECUTIVE_FAILURES = 5
/** The breaker opens as well when half of the last `WINDOW` requests failed. */
const WINDOW = 20

export class Breaker {
  #state: BreakerState = 'closed'
  #consecutiveFailures = 0
  #recent: boolean[] = []
  #probedAt = 0

  get state(): BreakerState {
    return this.#state
  }

  /** @param now any monotonic clock, in milliseconds */
  ask(now: number): Permission {
    if (this.#state === 'closed') return 'send'
    if (now - this.#probedAt < PROBE_INTERVAL_MS) return 'skip'
    // A probe whose outcome never comes back is followed by the next one all the same.
    this.#state = 'half-open'
    this.#probedAt = now
    return 'skip-and-probe'
  }

  /** The peer answered, whatever it said. */
  answered(): void {
    if (this.#state !== 'closed') this.#close()
    this.#consecutiveFailures = 0
    this.#remember(true)
  }

  /**
   * There was no connection, no answer in time, or none that is HTTP.
   * @param cost how many failures it is worth
   */
  failed(now: number, cost = 1): void {
    if (this.#state !== 'closed') {
      this.#state = 'open'
      return
    }
    this.#consecutiveFailures += cost
    this.#remember(false)
    const failures = this.#recent.filter((answered) => !answered).length
    const halfFailed = this.#recent.length === WINDOW && failures * 2 >= WINDOW
    if (this.#consecutiveFailures >= MAX_CONSECUTIVE_FAILURES || halfFailed) this.#open(now)
  }

  #remember(answered: boolean): void {
    this.#recent.push(answered)
    if (this.#recent.length > WINDOW) this.#recent.shift()
  }

  #open(now: number): void {
    this.#state = 'open'
    this.#probedAt = now
  }

  #close(): void {
    this.#state = 'closed'
    this.#recent = []
  }
}
