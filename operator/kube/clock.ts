/** Time and chance, given from outside so that tests decide both. */
export interface Clock {
  /** Milliseconds of a clock that never jumps; only differences mean anything. */
  monotonicMs(): number
  /** What people read on the wall; may jump. */
  wallTime(): Date
  /** Calls back once after at least so many milliseconds, unless the returned function is called first. */
  after(delayMs: number, callback: () => void): () => void
  /** Uniform in [0, 1). */
  random(): number
}

/** setTimeout fires at once beyond this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's own clock. Its timers keep the process alive: whoever sets one also cancels it. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallTime: () => new Date(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS))
    return () => clearTimeout(timer)
  },
  random: () => Math.random(),
}

/** Resolves after the delay, or as soon as the signal is aborted; never rejects. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(delayMs, done)
    signal?.addEventListener('abort', done)
  })
}

/**
 * Full-jitter exponential backoff (Brooker, "Exponential Backoff And Jitter", AWS 2015): uniform in [0, min(cap, base * 2^failures)),
 * so that clients that failed together do not come back together. `failures` counts from 0.
 */
export function fullJitterMs(clock: Clock, failures: number, bounds: { baseMs: number; capMs: number }): number {
  return clock.random() * Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(failures, 30))
}

/** RFC 3339 with microseconds, as metav1.MicroTime wants it. */
export function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z')
}
