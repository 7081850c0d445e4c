import type { Clock } from './clock.ts'

/** A clock for tests: time passes only when told to, and timers fire in the order of their times. */
export class FakeClock implements Clock {
  #nowMs = 0
  #timers: { readonly atMs: number; readonly callback: () => void }[] = []
  readonly #random: () => number
  readonly #epochMs = Date.parse('2026-01-01T00:00:00Z')
  /** What the wall clock is ahead of the monotonic one, besides the epoch. */
  wallSkewMs = 0

  constructor(random: () => number = () => 0.5) {
    this.#random = random
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallTime(): Date {
    return new Date(this.#epochMs + this.#nowMs + this.wallSkewMs)
  }

  random(): number {
    return this.#random()
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Lets time pass; after each timer everything that it set going has its turn. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    await settled()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#timers = this.#timers.filter((each) => each !== next)
      this.#nowMs = next.atMs
      next.callback()
      await settled()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number) {
    return this.#timers.filter((each) => each.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
  }
}

/** Lets all promises that are already settled have their consequences. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
