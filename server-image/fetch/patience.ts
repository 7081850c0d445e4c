/**
 * How long a fetch goes on: until nothing came for a while, until its source brought the same bytes too often, or until it took too long
 * in all. Times are of `performance.now()`.
 */

/** Beginnings that come once more without getting farther, one after the other. */
const MAX_REPETITIONS = 3

export class Patience {
  private readonly noProgressMs: number
  private readonly endsAt: number
  private givesUpAt: number
  private farthestBytes = 0
  private farthestAtBreak = 0
  private hasCome = false
  private repetitions = 0

  constructor(noProgressMs: number, totalMs: number, now: number) {
    this.noProgressMs = noProgressMs
    this.endsAt = now + totalMs
    this.givesUpAt = now + noProgressMs
  }

  /** So much of the file is there now, which is less than before when it had to be begun again. */
  reached(sizeBytes: number, now: number): void {
    this.hasCome = true
    this.farthestBytes = Math.max(this.farthestBytes, sizeBytes)
    this.progressed(now)
  }

  /** A connection broke. A source that always breaks at the same place is given up. */
  broke(): void {
    if (this.farthestBytes > this.farthestAtBreak) this.repetitions = 0
    else if (this.hasCome) this.repetitions += 1
    this.farthestAtBreak = this.farthestBytes
    this.hasCome = false
  }

  /** One of the requests that come before the file was answered. */
  progressed(now: number): void {
    this.givesUpAt = now + this.noProgressMs
  }

  /** Another file is begun; the end in any case stays. */
  begin(now: number): void {
    this.farthestBytes = 0
    this.farthestAtBreak = 0
    this.hasCome = false
    this.repetitions = 0
    this.progressed(now)
  }

  get reachedBytes(): number {
    return this.farthestBytes
  }

  leftMs(now: number): number {
    if (this.repetitions >= MAX_REPETITIONS) return 0
    return Math.max(0, Math.min(this.givesUpAt, this.endsAt) - now)
  }
}
