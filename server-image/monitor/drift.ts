/** Compares a window's sample with the reference profile, feature by feature. Pure. */
import type { FeatureValue } from '../model/rows.ts'
import { categoryOf } from './category.ts'
import {
  MAX_VALUES_AS_CATEGORIES,
  categoryShares,
  countsOfValues,
  jensenShannonDistance,
  kolmogorovSmirnovStatistic,
  populationStabilityIndex,
  sturgesBins,
  wassersteinDistance,
  weightedValues,
  type Bins,
  type CategoryCounts,
  type Shares,
} from './distance.ts'
import {
  OTHER_CATEGORY,
  referenceCounts,
  referenceValues,
  type CategoricalProfile,
  type FeatureProfile,
  type NumericProfile,
} from './profile.ts'
import { chiSquarePValue, kolmogorovSmirnovPValue } from './significance.ts'

/** `auto`: the normed Wasserstein distance for numbers, Jensen-Shannon for categories (as Evidently chooses for large samples). */
export const DRIFT_METHODS = ['auto', 'psi', 'jensenshannon', 'wasserstein', 'ks'] as const
export type DriftMethod = (typeof DRIFT_METHODS)[number]

export interface DriftRule {
  readonly method: DriftMethod
  /** A feature has drifted when its score is at least this. */
  readonly threshold: number
}

/** Every measure, under the name that metrics and reports give it. Only of numbers: `wasserstein`, `ks`, `ks_p_value`. */
export type Measure = 'psi' | 'jensenshannon' | 'wasserstein' | 'ks' | 'ks_p_value' | 'chisquare_p_value'
export type Measures = Readonly<Partial<Record<Measure, number>>>

export interface FeatureDrift {
  readonly name: string
  readonly kind: FeatureProfile['kind']
  /** The measure that `score` is. */
  readonly method: Measure
  /** Grows with the distance from the reference, from 0; undefined when every value is missing. */
  readonly score: number | undefined
  /** A feature of which every value is missing is not as its reference. */
  readonly drifted: boolean
  /** Share of the values that are missing, which nothing else here is computed from: NaN and infinities. */
  readonly missing: number
  readonly measures: Measures
  readonly histogram: Histogram
}

/** Shares of the reference and of the window by bin or by category, to be shown. */
export interface Histogram extends Shares {
  readonly labels: readonly string[]
}

/** Values of one feature in the window. */
export interface WeightedCells {
  readonly cells: readonly FeatureValue[]
  readonly weights: readonly number[]
}

export function featureDrift(profile: FeatureProfile, window: WeightedCells, rule: DriftRule): FeatureDrift {
  const { missing, ...current } = presentCells(profile.kind === 'numeric' ? asNumbers(window) : window)
  const { measures, histogram } = compared(profile, current)
  const method = methodFor(profile, rule)
  const score = measures[method]
  return {
    name: profile.name,
    kind: profile.kind,
    method,
    score,
    drifted: score === undefined || score >= rule.threshold,
    missing,
    measures,
    histogram,
  }
}

/**
 * Tensors may hold NaN for what a client does not know, and infinities; a sample's file has neither. Both are missing values, as
 * they are to Evidently.
 */
export function presentCells({ cells, weights }: WeightedCells): WeightedCells & { readonly missing: number } {
  const isMissing = (cell: FeatureValue | undefined) => typeof cell === 'number' && !Number.isFinite(cell)
  if (!cells.some(isMissing)) return { cells, weights, missing: 0 }
  const gone = weights.filter((_, index) => isMissing(cells[index]))
  return {
    cells: cells.filter((cell) => !isMissing(cell)),
    weights: weights.filter((_, index) => !isMissing(cells[index])),
    missing: total(gone) / total(weights),
  }
}

function asNumbers({ cells, weights }: WeightedCells): WeightedCells {
  return { cells: cells.map(Number), weights }
}

function compared(profile: FeatureProfile, current: WeightedCells): Compared {
  if (current.cells.length === 0) return INCOMPARABLE
  return profile.kind === 'numeric' ? numericDrift(profile, current) : categoricalDrift(profile, current)
}

function methodFor({ kind }: FeatureProfile, { method }: DriftRule): Measure {
  if (method === 'psi' || method === 'jensenshannon') return method
  if (kind === 'categorical') return 'jensenshannon'
  return method === 'auto' ? 'wasserstein' : method
}

interface Compared {
  readonly measures: Measures
  readonly histogram: Histogram
}

const INCOMPARABLE: Compared = { measures: {}, histogram: { labels: [], reference: [], current: [] } }

/** Below this a reference is as good as constant, and the distance is given in units of this instead (Evidently's rule). */
const LEAST_NORM = 0.001

function numericDrift(profile: NumericProfile, { cells, weights }: WeightedCells): Compared {
  const reference = referenceValues(profile)
  const current = weightedValues(cells.map(Number), weights)
  const size = effectiveSize(weights)
  const bins = sturgesBins(reference, current, profile.count + Math.round(size))
  const isFine = profile.distinct > MAX_VALUES_AS_CATEGORIES
  const histogram = isFine ? binned(bins) : byValue(countsOfValues(reference), countsOfValues(current))
  const ks = kolmogorovSmirnovStatistic(reference, current)
  const measures = {
    psi: populationStabilityIndex(histogram),
    jensenshannon: jensenShannonDistance(histogram),
    wasserstein: Math.min(
      wassersteinDistance(reference, current) / Math.max(profile.std, LEAST_NORM),
      Number.MAX_VALUE,
    ),
    ks,
    ks_p_value: kolmogorovSmirnovPValue(ks, profile.count, size),
  }
  return { measures, histogram }
}

function binned({ edges, reference, current }: Bins): Histogram {
  const labels = reference.map((_, bin) => `${brief(edges[bin] ?? 0)} – ${brief(edges[bin + 1] ?? 0)}`)
  return { labels, reference, current }
}

function byValue(reference: CategoryCounts, current: CategoryCounts): Histogram {
  const labels = [...new Set([...reference.keys(), ...current.keys()])].sort((left, right) => +left - +right)
  const inOrder = (counts: CategoryCounts) => new Map(labels.map((label) => [label, counts.get(label) ?? 0]))
  return { labels, ...categoryShares(inOrder(reference), inOrder(current)) }
}

const MAX_NEW_CATEGORIES = 100

function categoricalDrift(profile: CategoricalProfile, current: WeightedCells): Compared {
  const reference = referenceCounts(profile)
  const counts = countCategories(reference, current)
  const scale = effectiveSize(current.weights) / total([...counts.values()])
  const shares = categoryShares(reference, counts)
  const measures = {
    psi: populationStabilityIndex(shares),
    jensenshannon: jensenShannonDistance(shares),
    chisquare_p_value: chiSquarePValue(reference, new Map([...counts].map(([key, count]) => [key, count * scale]))),
  }
  const labels = [...new Set([...reference.keys(), ...counts.keys()])].map((key) =>
    key === OTHER_CATEGORY ? '(others)' : key,
  )
  return { measures, histogram: { labels, ...shares } }
}

/** New categories are counted one by one up to a bound, or as `other` when the reference has others itself. */
function countCategories(reference: CategoryCounts, { cells, weights }: WeightedCells): Map<string, number> {
  const counts = new Map<string, number>()
  const room = reference.has(OTHER_CATEGORY) ? 0 : MAX_NEW_CATEGORIES
  let strangers = 0
  cells.forEach((cell, index) => {
    let category = categoryOf(cell)
    if (!reference.has(category) && !counts.has(category)) {
      if (strangers < room) strangers += 1
      else category = OTHER_CATEGORY
    }
    counts.set(category, (counts.get(category) ?? 0) + (weights[index] ?? 1))
  })
  return counts
}

/** How many rows of equal weight tell as much (Kish): the number of rows when all weigh the same. */
function effectiveSize(weights: readonly number[]): number {
  const first = weights[0]
  if (weights.every((weight) => weight === first)) return weights.length
  return total(weights) ** 2 / total(weights.map((weight) => weight * weight))
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function brief(value: number): string {
  return String(Number(value.toPrecision(4)))
}
