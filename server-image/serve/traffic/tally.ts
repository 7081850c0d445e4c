import { LATENCY_BUCKETS, latencyBucket, type Answers } from '../../../protocol/evidence.ts'
import { oneLine } from '../../model/model-error.ts'

/** What a request came to, for metrics. `peer` is a revision. */
export type RelayResult = 'ok' | 'error' | 'rejected' | 'foreign' | 'skipped'

const MAX_SAMPLES = 5
const MAX_SAMPLE_CHARACTERS = 120

/** Counts what became of the requests that one revision was asked to answer under one plan. */
export class Tally {
  rejected = 0
  foreign = 0
  skipped = 0
  #ok = 0
  #error = 0
  readonly #latency = new Uint32Array(LATENCY_BUCKETS)
  readonly #samples = new Map<string, number>()

  /** @param durationMs server-side, by the revision that answered */
  ok(durationMs: number): void {
    this.#ok += 1
    const bucket = latencyBucket(durationMs / 1000)
    this.#latency[bucket] = (this.#latency[bucket] ?? 0) + 1
  }

  /** @param why short; the first few different ones are kept with their counts */
  error(why: string): void {
    this.#error += 1
    const message = oneLine(why, MAX_SAMPLE_CHARACTERS)
    const count = this.#samples.get(message)
    if (count !== undefined || this.#samples.size < MAX_SAMPLES) this.#samples.set(message, (count ?? 0) + 1)
  }

  toAnswers(): Answers {
    const latency: Record<string, number> = {}
    this.#latency.forEach((count, bucket) => {
      if (count > 0) latency[bucket] = count
    })
    return {
      ok: this.#ok,
      error: this.#error,
      rejected: this.rejected,
      foreign: this.foreign,
      skipped: this.skipped,
      latency,
      errorSamples: [...this.#samples].map(([message, count]) => ({ message, count })),
    }
  }
}
