/** Rows as the training data has them, by their profile. */
import type { CategoricalProfile, FeatureProfile, NumericProfile, Profile } from '../../monitor/profile.ts'
import type { FeatureValue, Row } from '../../model/rows.ts'
import type { Feature, TabularSignature } from '../../model/signature.ts'

/** One of medians and most frequent categories, and one of upper quartiles and the categories after them. */
export function typicalRows({ features }: TabularSignature, profile: Profile): Row[] {
  const profiles = new Map(profile.features.map((each) => [each.name, each]))
  return [
    { share: 0.5, rank: 0 },
    { share: 0.75, rank: 1 },
  ].map((place) => features.map((feature) => valueAt(place, feature, profiles.get(feature.name))))
}

interface Place {
  /** Of the training data's numbers that are not above. */
  readonly share: number
  /** Among the categories, the most frequent first. */
  readonly rank: number
}

/** A value that the feature's datatype can hold; made up when the profile has none. */
function valueAt(place: Place, { datatype }: Feature, profile: FeatureProfile | undefined): FeatureValue {
  const seen = profile === undefined ? undefined : seenAt(place, profile)
  if (datatype === 'BYTES') return String(seen ?? '1')
  const number = Number(seen ?? 1)
  const value = Number.isFinite(number) ? number : 1
  if (datatype === 'BOOL') return value !== 0
  return datatype.startsWith('FP') ? Number(value.toPrecision(6)) : Math.round(value)
}

function seenAt({ share, rank }: Place, profile: FeatureProfile): number | string | undefined {
  if (profile.kind === 'numeric') return quantile(profile, share)
  const categories = categoriesByCount(profile)
  return categories[Math.min(rank, categories.length - 1)]
}

function quantile({ values, counts }: NumericProfile, share: number): number | undefined {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * share
  let below = 0
  return values.find((_, index) => (below += counts[index] ?? 0) >= wanted)
}

/** The most frequent first. */
export function categoriesByCount({ categories }: CategoricalProfile): string[] {
  return Object.entries(categories)
    .toSorted(([, left], [, right]) => right - left)
    .map(([category]) => category)
}
