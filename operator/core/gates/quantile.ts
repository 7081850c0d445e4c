/**
 * Bounds of a latency quantile from the sparse histogram of a plan, valid however often one looks.
 *
 * For any bucket edge x fixed beforehand, the durations up to x are a Bernoulli count with rate F(x), which `sideOf` tests. An edge
 * with F(x) proven below the quantile's level lies under the quantile, one proven above lies over it.
 *
 * Why no union bound over the 149 edges is needed: let a be the first edge with F(a) >= level, and b the edge before it; both are
 * fixed, though unknown. Counts grow with the edge, so if any edge from a on is called "under", then a itself is; if any edge up to
 * b is called "over", then b itself is. Two tests can go wrong, so each gets alpha / 2. (Howard and Ramdas, Bernoulli 2022, bound
 * quantiles of raw samples; with fixed edges the two-cell case suffices.)
 */
import { bucketUpperSeconds, LATENCY_BUCKETS } from '../../../protocol/evidence.ts'
import { sideOf } from './sequential.ts'

/** Durations by bucket index, as `Answers.latency` has them. */
export type Histogram = Readonly<Record<string, number>>

export interface QuantileBounds {
  /** Durations that were counted. */
  readonly trials: number
  /** Upper edge of the bucket that holds the observed quantile; null without durations, Infinity in the open last bucket. */
  readonly observedSeconds: number | null
  /** The quantile is above this edge; 0 while nothing is known. */
  readonly lowerSeconds: number
  /** The quantile is at most this edge; Infinity while nothing is known. */
  readonly upperSeconds: number
}

export interface QuantileQuestion {
  /** Level in (0, 1): 0.99 for the 99th percentile. */
  readonly quantile: number
  readonly alpha: number
  /** Multiplies all counts, to extrapolate what more of the same would prove; default 1. */
  readonly scale?: number
}

export function quantileBounds(histogram: Histogram, { quantile, alpha, scale = 1 }: QuantileQuestion): QuantileBounds {
  const counts = bucketCounts(histogram)
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return { trials: 0, observedSeconds: null, lowerSeconds: 0, upperSeconds: Infinity }
  const trials = total * scale
  let reached = 0
  let observedSeconds: number | null = null
  let lowerSeconds = 0
  let upperSeconds = Infinity
  let side: ReturnType<typeof sideOf>
  for (const [index, count] of counts.slice(0, -1).entries()) {
    reached += count
    if (observedSeconds === null && reached >= quantile * total) observedSeconds = bucketUpperSeconds(index)
    // An empty bucket's edge has the same count below it as the edge before.
    if (count > 0 || index === 0) side = sideOf(quantile, { failures: reached * scale, trials, alpha: alpha / 2 })
    if (side === 'Below') lowerSeconds = bucketUpperSeconds(index)
    if (side === 'Above') {
      upperSeconds = bucketUpperSeconds(index)
      break
    }
  }
  return { trials: total, observedSeconds: observedSeconds ?? Infinity, lowerSeconds, upperSeconds }
}

/** @throws RangeError when a key is no bucket index or a count is negative or not finite. */
function bucketCounts(histogram: Histogram): number[] {
  const counts = new Array<number>(LATENCY_BUCKETS).fill(0)
  for (const [key, count] of Object.entries(histogram)) {
    const index = Number(key)
    if (!(Number.isInteger(index) && index >= 0 && index < LATENCY_BUCKETS && count >= 0 && count < Infinity)) {
      throw new RangeError(
        `latency["${key}"] = ${count}: keys must be bucket indices 0..${LATENCY_BUCKETS - 1}, counts finite`,
      )
    }
    counts[index] = count
  }
  return counts
}
