/**
 * How far a sample is from a reference: the distances that Evidently computes, with its binning, so that both give the same
 * numbers on the same data (test/monitoring holds them to it). Values may carry weights; weights of 1 are plain counting.
 */

/** Values in ascending order, each with its weight. */
export interface WeightedValues {
  readonly values: Float64Array
  readonly weights: Float64Array
  readonly total: number
}

/** Shares of the same bins, in the same order. */
export interface Shares {
  readonly reference: readonly number[]
  readonly current: readonly number[]
}

export interface Bins extends Shares {
  /** One more than there are bins. */
  readonly edges: readonly number[]
}

export type CategoryCounts = ReadonlyMap<string, number>

/** Up to so many distinct reference values are compared value by value, as categories are (Evidently's rule). */
export const MAX_VALUES_AS_CATEGORIES = 20

/** @param values finite ones; @param weights of each value; 1 for all when left out */
export function weightedValues(values: readonly number[], weights?: readonly number[]): WeightedValues {
  const order = Float64Array.from(values.keys()).sort((left, right) => (values[left] ?? 0) - (values[right] ?? 0))
  const sorted = Float64Array.from(order, (index) => values[index] ?? 0)
  const ofSorted = Float64Array.from(order, (index) => weights?.[index] ?? 1)
  return { values: sorted, weights: ofSorted, total: sum(ofSorted) }
}

/**
 * Bins of equal width over both samples, as many as Sturges' rule says for `observations` (numpy's `histogram_bin_edges`).
 * @param observations how many values there are in both, before any sampling
 */
export function sturgesBins(reference: WeightedValues, current: WeightedValues, observations: number): Bins {
  const low = Math.min(reference.values[0] ?? 0, current.values[0] ?? 0)
  const high = Math.max(reference.values.at(-1) ?? 0, current.values.at(-1) ?? 0)
  const count = Math.max(1, Math.ceil(Math.log2(Math.max(1, observations)) + 1))
  const [from, to] = low === high ? [low - 0.5, high + 0.5] : [low, high]
  const step = (to - from) / count
  const edge = (index: number) =>
    step === Infinity ? from * (1 - index / count) + to * (index / count) : from + index * step
  const edges = Array.from({ length: count + 1 }, (_, index) => (index === count ? to : edge(index)))
  return { edges, reference: sharesOf(reference, edges), current: sharesOf(current, edges) }
}

/** Every bin is half open, but the last holds its upper edge as well. */
export function sharesOf({ values, weights, total }: WeightedValues, edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length - 1).fill(0)
  let bin = 0
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] ?? 0
    while (bin < counts.length - 1 && value >= (edges[bin + 1] ?? Infinity)) bin += 1
    counts[bin] = (counts[bin] ?? 0) + (weights[index] ?? 0)
  }
  return counts.map((count) => count / total)
}

/** The categories of both sides in the reference's order, then what is new. */
export function categoryShares(reference: CategoryCounts, current: CategoryCounts): Shares {
  const keys = [...new Set([...reference.keys(), ...current.keys()])]
  const share = (counts: CategoryCounts) => {
    const total = sum(counts.values())
    return keys.map((key) => (counts.get(key) ?? 0) / total)
  }
  return { reference: share(reference), current: share(current) }
}

/** Each distinct value as a category. */
export function countsOfValues({ values, weights }: WeightedValues): Map<string, number> {
  const counts = new Map<string, number>()
  values.forEach((value, index) => {
    const key = String(value)
    counts.set(key, (counts.get(key) ?? 0) + (weights[index] ?? 0))
  })
  return counts
}

/** Population stability index: symmetrised Kullback-Leibler divergence, in nats; 0.1 and 0.2 are the usual bounds. */
export function populationStabilityIndex({ reference, current }: Shares): number {
  const expected = withoutZeros(reference)
  const actual = withoutZeros(current)
  return sum(expected.map((share, bin) => (share - (actual[bin] ?? 0)) * Math.log(share / (actual[bin] ?? 1))))
}

/** Evidently's rule for empty bins, whose logarithm would be infinite. */
function withoutZeros(shares: readonly number[]): number[] {
  const least = Math.min(...shares.filter((share) => share !== 0))
  const instead = least <= 0.0001 ? least / 1e6 : 0.0001
  return shares.map((share) => (share === 0 ? instead : share))
}

/** The square root of the Jensen-Shannon divergence with natural logarithms: 0 to 0.8326. */
export function jensenShannonDistance({ reference, current }: Shares): number {
  let divergence = 0
  reference.forEach((left, bin) => {
    const right = current[bin] ?? 0
    const middle = (left + right) / 2
    if (left > 0) divergence += left * Math.log(left / middle)
    if (right > 0) divergence += right * Math.log(right / middle)
  })
  return Math.sqrt(Math.max(0, divergence / 2))
}

/** The area between two distribution functions, in the unit of the values; the largest number when it is larger. */
export function wassersteinDistance(reference: WeightedValues, current: WeightedValues): number {
  let distance = 0
  walkBoth(reference, current, (left, right, width) => (distance += Math.abs(left - right) * width))
  return Math.min(distance, Number.MAX_VALUE)
}

/** The largest difference of two distribution functions. */
export function kolmogorovSmirnovStatistic(reference: WeightedValues, current: WeightedValues): number {
  let largest = 0
  walkBoth(reference, current, (left, right) => (largest = Math.max(largest, Math.abs(left - right))))
  return largest
}

/**
 * Calls with both distribution functions after each distinct value, and the distance to the next (0 after the last). Law: every step
 * takes a value from one side at least, whatever the values are.
 */
function walkBoth(
  left: WeightedValues,
  right: WeightedValues,
  step: (left: number, right: number, width: number) => void,
): void {
  let [atLeft, atRight, weightLeft, weightRight] = [0, 0, 0, 0]
  while (atLeft < left.values.length || atRight < right.values.length) {
    const value = Math.min(left.values[atLeft] ?? Infinity, right.values[atRight] ?? Infinity)
    for (; isUpTo(value, left.values, atLeft); atLeft += 1) weightLeft += left.weights[atLeft] ?? 0
    for (; isUpTo(value, right.values, atRight); atRight += 1) weightRight += right.weights[atRight] ?? 0
    const next = Math.min(left.values[atLeft] ?? Infinity, right.values[atRight] ?? Infinity)
    const width = next === Infinity ? 0 : Math.min(next - value, Number.MAX_VALUE)
    step(weightLeft / left.total, weightRight / right.total, width)
  }
}

/** True for what cannot be compared as well: nothing may be waited for that never comes. */
function isUpTo(value: number, values: Float64Array, at: number): boolean {
  return at < values.length && !((values[at] ?? 0) > value)
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
