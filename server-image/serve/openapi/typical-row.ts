/** A row as the training data has them, by their profile: its medians and most frequent categories. */
import type { FeatureProfile, NumericProfile, Profile } from '../../monitor/profile.ts'
import type { FeatureValue, Row } from '../../model/rows.ts'
import type { Feature, TabularSignature } from '../../model/signature.ts'

export function typicalRow({ features }: TabularSignature, profile: Profile): Row {
  const profiles = new Map(profile.features.map((each) => [each.name, each]))
  return features.map((feature) => typicalValue(feature, profiles.get(feature.name)))
}

/** A value that the feature's datatype can hold; made up when the profile has none. */
export function typicalValue({ datatype }: Feature, profile: FeatureProfile | undefined): FeatureValue {
  const seen = profile === undefined ? undefined : profile.kind === 'numeric' ? medianOf(profile) : commonest(profile)
  if (datatype === 'BYTES') return String(seen ?? '1')
  const number = Number(seen ?? 1)
  const value = Number.isFinite(number) ? number : 1
  if (datatype === 'BOOL') return value !== 0
  return datatype.startsWith('FP') ? Number(value.toPrecision(6)) : Math.round(value)
}

/** The value that half of the training data does not exceed. */
function medianOf({ values, counts }: NumericProfile): number | undefined {
  const half = counts.reduce((sum, count) => sum + count, 0) / 2
  let below = 0
  return values.find((_, index) => (below += counts[index] ?? 0) >= half)
}

function commonest({ categories }: Extract<FeatureProfile, { kind: 'categorical' }>): string | undefined {
  return Object.entries(categories).toSorted(([, left], [, right]) => right - left)[0]?.[0]
}
