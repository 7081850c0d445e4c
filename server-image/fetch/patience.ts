/** How long a fetch goes on: until nothing new came for a while, or it took too long in all. Times are of `performance.now()`. */
export class Patience {
  private readonly noProgressMs: number
  private readonly endsAt: number
  private givesUpAt: number
  private farthestBytes = 0

  constructor(noProgressMs: number, totalMs: number, now: number) {
    this.noProgressMs = noProgressMs
    this.endsAt = now + totalMs
    this.givesUpAt = now + noProgressMs
  }

  /** Bytes that were had before are no progress: a source that always breaks at the same place is given up. */
  reached(sizeBytes: number, now: number): void {
    if (sizeBytes <= this.farthestBytes) return
    this.farthestBytes = sizeBytes
    this.progressed(now)
  }

  /** One of the requests that come before the file was answered. */
  progressed(now: number): void {
    this.givesUpAt = now + this.noProgressMs
  }

  get reachedBytes(): number {
    return this.farthestBytes
  }

  leftMs(now: number): number {
    return Math.max(0, Math.min(this.givesUpAt, this.endsAt) - now)
  }
}
