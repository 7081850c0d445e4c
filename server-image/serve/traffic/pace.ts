/**
 * How long a peer may take, by how long we take ourselves: a model that needs a second must not be given up after less, and a
 * user must not wait for a dead peer much longer than for us.
 */

/** So many times our own usual duration. */
const PATIENCE = 4
/** Waiting in our queue may lengthen a peer's time to so many times the least: it says little of what the model needs. */
const MOST_FOR_QUEUEING = 4
const MOST_FOR_USERS_MS = 10_000
const MOST_MS = 30_000
/** Weight of the newest duration in the average. */
const NEWEST = 0.1

export class Pace {
  /** What a peer may take in any case, in milliseconds. */
  readonly leastMs: number
  #runMs = 0
  #usualMs = 0

  constructor(leastMs: number) {
    this.leastMs = leastMs
  }

  /** Takes note of what one run of our model takes when nothing else runs. */
  runs(runMs: number): void {
    this.#runMs = runMs
    this.#usualMs = Math.max(this.#usualMs, runMs)
  }

  /** Takes note of an answer of our own, with its time in the queue. */
  answered(durationMs: number): void {
    this.#usualMs += NEWEST * (durationMs - this.#usualMs)
  }

  /** What a peer may take while a user waits. */
  get budgetMs(): number {
    return Math.max(
      this.leastMs,
      Math.min(PATIENCE * this.#usualMs, MOST_FOR_QUEUEING * this.leastMs),
      Math.min(PATIENCE * this.#runMs, MOST_FOR_USERS_MS),
    )
  }

  /** What a peer may take when nobody waits, so that the one who is as slow as we are can be told from the one who hangs. */
  get patientMs(): number {
    return Math.min(MOST_MS, Math.max(this.budgetMs, PATIENCE * this.#usualMs))
  }
}
