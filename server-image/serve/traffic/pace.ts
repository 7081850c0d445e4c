/** How long a peer may take, by how long we take ourselves: a model that needs a second must not be given up after less. */

/** So many times our own usual duration. */
const PATIENCE = 4
const MOST_MS = 30_000
/** Weight of the newest duration in the average. */
const NEWEST = 0.05

export class Pace {
  readonly #leastMs: number
  #usualMs = 0

  /** @param leastMs what a peer may take in any case */
  constructor(leastMs: number) {
    this.#leastMs = leastMs
  }

  /** Takes note of an answer of our own. */
  answered(durationMs: number): void {
    this.#usualMs = this.#usualMs === 0 ? durationMs : this.#usualMs + NEWEST * (durationMs - this.#usualMs)
  }

  get budgetMs(): number {
    return Math.min(MOST_MS, Math.max(this.#leastMs, PATIENCE * this.#usualMs))
  }
}
