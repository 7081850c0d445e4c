/**
 * What a serving pod tells the operator about itself and about the requests that it answered or relayed.
 *
 * Served as JSON by `GET /penstock/evidence`. It is JSON beside `/metrics` because gates need a fine latency histogram,
 * whose buckets would be hundreds of Prometheus series a pod; `/metrics` has the sums that people plot.
 * All counters belong to the plan `plan.id` and start at zero with it; requests that began under an older plan are not counted.
 */

export const EVIDENCE_PATH = '/penstock/evidence'

export interface Evidence {
  /** Random per process: a restarted container starts new counters, and is never mistaken for the old one. */
  readonly instance: string
  readonly revision: string
  readonly version: string
  /** Hex sha256 of the model file that is loaded; empty until then. */
  readonly sha256: string
  readonly ready: boolean
  /** The plan in force: the acknowledgement. 0 before the first. */
  readonly planId: number
  /** State of the circuit breaker towards the peer; `closed` when there is no peer. */
  readonly breaker: 'closed' | 'open' | 'half-open'
  /** Inference requests that came from clients, not from another Penstock pod, since the process started (any plan). */
  readonly directRequests: number
  /** Inference requests that another revision's pod relayed to this one, since the process started (any plan). */
  readonly relayedIn: number
  /** Counters of this plan by the revision that was asked to answer: our own, and the peer's if there is one. */
  readonly answers: Readonly<Record<string, Answers>>
}

/** Outcomes of direct requests that were given to one revision under one plan. */
export interface Answers {
  /** Answered 2xx by that revision. */
  readonly ok: number
  /**
   * Failed by that revision. For our own share: an answer of 5xx or 429. For the peer's: anything but 2xx, no answer, too slow,
   * and our own answer to the same request was 2xx (the user got that one).
   */
  readonly error: number
  /**
   * Evidence against nobody: we answered 4xx, the peer failed and our own answer was not 2xx either, or the peer could not be asked
   * or was too slow while we were no better.
   */
  readonly rejected: number
  /** The answer came from another revision than the one asked, so it is no evidence; the user got it all the same. */
  readonly foreign: number
  /** Meant for the peer but not sent, as its own failures had opened the circuit breaker: we answered. */
  readonly skipped: number
  /** Server-side durations of the ok answers: key is the bucket index as of `latencyBucket`, value the count. Sparse. */
  readonly latency: Readonly<Record<string, number>>
  /** A sample of why requests failed: at most 5 distinct short messages with their counts. */
  readonly errorSamples: readonly { readonly message: string; readonly count: number }[]
}

const BUCKET_BASE_SECONDS = 0.00005
const BUCKET_GROWTH = 1.1
export const LATENCY_BUCKETS = 150

/** Index of the bucket that a duration falls in: bucket i covers (upper(i-1), upper(i)]. The last one is open-ended. */
export function latencyBucket(seconds: number): number {
  if (seconds <= BUCKET_BASE_SECONDS) return 0
  const index = Math.ceil(Math.log(seconds / BUCKET_BASE_SECONDS) / Math.log(BUCKET_GROWTH) - 1e-9)
  return Math.min(index, LATENCY_BUCKETS - 1)
}

/** Upper edge of a bucket in seconds: 50 us for bucket 0, growing by 10 % a bucket; the last (index 149) is Infinity. */
export function bucketUpperSeconds(index: number): number {
  return index >= LATENCY_BUCKETS - 1 ? Infinity : BUCKET_BASE_SECONDS * BUCKET_GROWTH ** index
}
