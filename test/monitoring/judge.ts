/** Holds what Penstock computes on the cases against Evidently's and scikit-learn's numbers. */
import { featureDrift } from '../../server-image/monitor/drift.ts'
import { profileOf } from '../../server-image/monitor/profile-build.ts'
import { QualityWindow } from '../../server-image/monitor/quality.ts'
import { labelledAnswers, type DriftCase, type QualityCase } from './cases.ts'

/** Null where Evidently has no number. */
type Numbers = Readonly<Record<string, number | null>>

export interface EvidentlyNumbers {
  readonly versions: Readonly<Record<string, string>>
  readonly drift: Readonly<Record<string, Numbers>>
  readonly quality: Readonly<Record<string, Numbers>>
}

export const TOLERANCE = 1e-6

export function ourDrift({ name, kind, reference, current }: DriftCase): Numbers {
  const profile = profileOf({ name, cells: reference }, kind, reference.length)
  const weights = current.map(() => 1)
  return { ...featureDrift(profile, { cells: current, weights }, { method: 'auto', threshold: 0.1 }).measures }
}

export function ourQuality(quality: QualityCase): Numbers {
  const window = new QualityWindow(quality.kind, quality.truth.length)
  for (const answer of labelledAnswers(quality)) window.add(answer)
  return { ...window.quality(quality.classes) }
}

/** One line for each number that differs; a number that we lack differs as well. */
export function disagreements(ours: Numbers, theirs: Numbers): string[] {
  return Object.entries(theirs).flatMap(([name, value]) => {
    if (value === null) return []
    const own = ours[name] ?? NaN
    // Relative above 1: a distance in units of a tiny deviation has no more digits than the data.
    const isSame = Math.abs(own - value) <= TOLERANCE * Math.max(1, Math.abs(value))
    return isSame ? [] : [`${name}: ${own}, but Evidently has ${value}`]
  })
}
