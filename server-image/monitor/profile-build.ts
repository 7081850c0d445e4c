/** A reference profile from columns of values. */
import type { FeatureValue } from '../model/rows.ts'
import { categoryOf } from './category.ts'
import {
  MAX_CATEGORIES,
  ProfileError,
  type CategoricalProfile,
  type FeatureProfile,
  type NumericProfile,
} from './profile.ts'

/** Null is a missing value. */
export type Cell = FeatureValue | null

export interface Column {
  readonly name: string
  readonly cells: readonly Cell[]
}

/** How many distinct values of a numeric feature are kept; more are thinned to so many quantiles. */
export const DEFAULT_MAX_VALUES = 1000

/**
 * @param kind left out: numeric when every cell is a number
 * @throws ProfileError when the column has no values, or no numbers for a numeric feature
 */
export function profileOf(
  { name, cells }: Column,
  kind?: FeatureProfile['kind'],
  maxValues = DEFAULT_MAX_VALUES,
): FeatureProfile {
  const present = cells.filter((cell): cell is FeatureValue => cell !== null)
  const missing = cells.length - present.length
  if (present.length === 0) throw new ProfileError(`Column ${JSON.stringify(name)} has no values; leave it out.`)
  const stranger = present.find((cell) => typeof cell !== 'number')
  if (kind === 'categorical' || (kind === undefined && stranger !== undefined))
    return categorical(name, present, missing)
  if (stranger !== undefined) {
    throw new ProfileError(
      `Column ${JSON.stringify(name)} must have numbers only, as the model takes them, got ${JSON.stringify(stranger)}.`,
    )
  }
  return numeric(name, present as number[], { missing, maxValues })
}

interface NumericOptions {
  readonly missing: number
  readonly maxValues: number
}

function numeric(name: string, present: readonly number[], { missing, maxValues }: NumericOptions): NumericProfile {
  const sorted = Float64Array.from(present).sort()
  const count = sorted.length
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count
  const std = Math.sqrt(sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count)
  const distinct = runLengths(sorted)
  const kept = distinct.size <= maxValues ? distinct : runLengths(quantiles(sorted, maxValues))
  const each = distinct.size <= maxValues ? 1 : count / maxValues
  return {
    kind: 'numeric',
    name,
    count,
    missing,
    distinct: distinct.size,
    mean,
    std,
    values: [...kept.keys()],
    counts: [...kept.values()].map((times) => times * each),
  }
}

function runLengths(sorted: Float64Array): Map<number, number> {
  const counts = new Map<number, number>()
  for (const value of sorted) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/** The middles of equal parts: no distribution function of so few values is nearer to the whole one. */
function quantiles(sorted: Float64Array, parts: number): Float64Array {
  return Float64Array.from(
    { length: parts },
    (_, part) => sorted[Math.floor(((part + 0.5) / parts) * sorted.length)] ?? 0,
  )
}

function categorical(name: string, present: readonly FeatureValue[], missing: number): CategoricalProfile {
  const counts = new Map<string, number>()
  for (const value of present) {
    const category = categoryOf(value)
    counts.set(category, (counts.get(category) ?? 0) + 1)
  }
  const byFrequency = [...counts].sort(
    ([left, many], [right, more]) => more - many || (left < right ? -1 : left > right ? 1 : 0),
  )
  const kept = byFrequency.slice(0, MAX_CATEGORIES)
  const other = byFrequency.slice(MAX_CATEGORIES).reduce((sum, [, count]) => sum + count, 0)
  return { kind: 'categorical', name, count: present.length, missing, categories: Object.fromEntries(kept), other }
}
