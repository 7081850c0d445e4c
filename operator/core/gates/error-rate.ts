/**
 * Judges whether the candidate fails more requests than stable, by the difference of two rates that are each bounded at alpha / 2.
 *
 * What counts: `ok` and `error`. Bad requests and answers of another revision say nothing about the candidate. Requests that an open
 * circuit breaker kept away from it are no proof either, but they are not good news: to pass, the candidate must pass even if all of
 * them had failed; and a candidate that is kept away from most of its requests fails without waiting for a bound.
 */
import type { Samples } from './samples.ts'
import { comparisonOf } from './samples.ts'
import { cleanTrialsToPass, moreTrials } from './sample-size.ts'
import type { RateBounds } from './sequential.ts'
import { rateBounds } from './sequential.ts'
import type { Baseline, ErrorRateEvidence, ErrorRateGate, GateReport, RateEvidence, Verdict } from './verdict.ts'
import { gateReport } from './verdict.ts'
import { about, outlook, points, rounded, roundedOrNull, shareOf } from './wording.ts'

/** What every gate of a step is judged by. */
export interface Terms {
  /** Chance that the bounds of this gate miss the truth at any look. */
  readonly alpha: number
  /** Requests that the candidate must have answered before the gate passes. */
  readonly minSamples: number
}

/** A candidate that answered nothing at all is dead once this many requests failed or were kept from it. */
const DEAD_AFTER_REQUESTS = 20
/** Failed and kept away beyond this share (or maxIncrease if that is more), above stable's rate: the breaker has judged. */
const KEPT_AWAY_SHARE = 0.25

type ErrorSamples = Samples['candidate']['errorSamples']

/** Different failures in the evidence. */
const MAX_ERRORS = 3

interface Counts {
  readonly n: number
  readonly k: number
  readonly skipped: number
  readonly rejected: number
}

interface Finding {
  readonly verdict: Verdict
  readonly because: 'Bounds' | 'Dead' | 'KeptAway' | 'FewSamples' | 'SkippedInDoubt' | 'Open'
  readonly candidate: RateBounds
  readonly stable: RateBounds
  readonly increase: RateBounds
}

interface Comparison {
  readonly candidate: Counts
  readonly stable: Counts
  readonly baseline: Baseline
  readonly maxIncrease: number
  readonly terms: Terms
}

export function judgeErrorRate(gate: ErrorRateGate, samples: Samples, terms: Terms): GateReport {
  const { stable, baseline } = comparisonOf(samples, (answers) => answers.ok + answers.error)
  const comparison: Comparison = {
    candidate: countsOf(samples.candidate),
    stable: countsOf(stable),
    baseline,
    maxIncrease: gate.errorRate.maxIncrease,
    terms,
  }
  const finding = find(comparison, 1)
  const more = finding.verdict === 'Inconclusive' ? missing(comparison) : undefined
  const { errorSamples } = samples.candidate
  const words = finding.verdict === 'Fail' ? mostOften(errorSamples) : ''
  const message = `${seen(comparison)}: ${conclusion(comparison, finding, more)}${words}`
  return gateReport(gate.name, finding.verdict, message, evidenceOf({ comparison, finding, more, errorSamples }))
}

function countsOf(answers: Samples['stable']): Counts {
  return { n: answers.ok + answers.error, k: answers.error, skipped: answers.skipped, rejected: answers.rejected }
}

/** The finding if all counts that still grow were `scale` times what they are. */
function find(comparison: Comparison, scale: number): Finding {
  const { maxIncrease, terms } = comparison
  const candidate = scaled(comparison.candidate, scale)
  const side = terms.alpha / 2
  const bounds = rateBounds({ failures: candidate.k, trials: candidate.n, alpha: side })
  const stable = stableBounds(comparison, scale)
  const increase = { lower: bounds.lower - stable.upper, upper: bounds.upper - stable.lower }
  const found = (verdict: Verdict, because: Finding['because']): Finding => ({
    verdict,
    because,
    candidate: bounds,
    stable,
    increase,
  })
  if (increase.lower > maxIncrease) return found('Fail', 'Bounds')
  if (candidate.n === candidate.k && candidate.k + candidate.skipped >= DEAD_AFTER_REQUESTS)
    return found('Fail', 'Dead')
  const asked = { failures: candidate.k + candidate.skipped, trials: candidate.n + candidate.skipped, alpha: side }
  const worst = rateBounds(asked)
  const keptAway = candidate.skipped >= DEAD_AFTER_REQUESTS
  if (keptAway && worst.lower - stable.upper > Math.max(KEPT_AWAY_SHARE, maxIncrease)) return found('Fail', 'KeptAway')
  if (increase.upper > maxIncrease) return found('Inconclusive', 'Open')
  if (worst.upper - stable.lower > maxIncrease) return found('Inconclusive', 'SkippedInDoubt')
  return candidate.n >= terms.minSamples ? found('Pass', 'Bounds') : found('Inconclusive', 'FewSamples')
}

/**
 * Without any answer of stable the candidate is held to zero errors. That is no harsher than it sounds: the relay counts an error
 * against the candidate only when stable itself then answered the same request well.
 */
function stableBounds({ stable, baseline, terms }: Comparison, scale: number): RateBounds {
  if (baseline === 'None') return { lower: 0, upper: 0 }
  const { n, k } = baseline === 'Stable' ? scaled(stable, scale) : stable
  return rateBounds({ failures: k, trials: n, alpha: terms.alpha / 2 })
}

function scaled(counts: Counts, scale: number): Counts {
  return { ...counts, n: counts.n * scale, k: counts.k * scale, skipped: counts.skipped * scale }
}

function missing(comparison: Comparison): number | undefined {
  const { candidate, maxIncrease, terms } = comparison
  if (candidate.n > 0) return moreTrials(candidate.n, (scale) => find(comparison, scale).verdict !== 'Inconclusive')
  const clean = cleanTrialsToPass({ maxIncrease, ...terms })
  return clean === Infinity ? undefined : clean
}

const REFERENCE: Readonly<Record<Baseline, string>> = {
  Stable: 'stable',
  EarlierSteps: 'stable (with earlier steps)',
  None: '',
}

function seen({ candidate, stable, baseline }: Comparison): string {
  const ours =
    candidate.n === 0 ? silence(candidate) : `candidate failed ${shareOf(candidate.k, candidate.n, ' requests')}`
  const kept = candidate.skipped === 0 ? '' : ` and was kept from ${candidate.skipped} by the circuit breaker`
  const theirs =
    baseline === 'None'
      ? 'stable answered none to compare with'
      : `${REFERENCE[baseline]} ${shareOf(stable.k, stable.n)}`
  return `${ours}${kept}, ${theirs}`
}

function silence({ rejected }: Counts): string {
  return rejected === 0
    ? 'candidate answered nothing yet'
    : `candidate answered nothing that counts yet (${rejected} requests were bad, or stable was no quicker than a candidate that was too slow)`
}

function conclusion(comparison: Comparison, finding: Finding, more: number | undefined): string {
  const allowed = `allowed is ${points(comparison.maxIncrease)}`
  const { lower, upper } = finding.increase
  switch (finding.because) {
    case 'Bounds':
      return finding.verdict === 'Fail'
        ? `the increase is at least ${points(lower)} points, ${allowed}`
        : `the increase is at most ${points(upper)} points, ${allowed}`
    case 'Dead':
      return 'it has not answered a single one'
    case 'KeptAway':
      return 'too many to be kept from, whatever it answered'
    case 'FewSamples':
      return `the increase is at most ${points(upper)} points, ${allowed}, but ${comparison.terms.minSamples} requests are the minimum: ${about(more ?? 0)} needed`
    case 'SkippedInDoubt':
      return `too many were kept from it to pass; ${outlook(more, 'those may all be failures')}`
    case 'Open':
      return `the increase lies between ${points(lower)} and ${points(upper)} points, ${allowed}; ${outlook(more, 'the candidate is at the very limit')}`
    default:
      return finding.because satisfies never
  }
}

/** What the failures were, for people who look for the cause: pods and their logs are gone soon. */
function mostOften([first]: ErrorSamples): string {
  return first === undefined ? '' : `; most often: ${first.message}`
}

interface Findings {
  readonly comparison: Comparison
  readonly finding: Finding
  readonly more: number | undefined
  readonly errorSamples: ErrorSamples
}

function evidenceOf({ comparison, finding, more, errorSamples }: Findings): ErrorRateEvidence {
  const { candidate, stable, baseline, maxIncrease, terms } = comparison
  return {
    kind: 'errorRate',
    candidate: {
      ...rateEvidence(candidate, finding.candidate),
      skipped: candidate.skipped,
      ...(errorSamples.length > 0 && { errors: errorSamples.slice(0, MAX_ERRORS).map((each) => ({ ...each })) }),
    },
    stable: rateEvidence(stable, finding.stable),
    increase: { lower: rounded(finding.increase.lower), upper: rounded(finding.increase.upper) },
    maxIncrease,
    minSamples: terms.minSamples,
    alpha: rounded(terms.alpha),
    baseline,
    ...(more !== undefined && { moreSamples: more }),
  }
}

function rateEvidence({ n, k }: Counts, { lower, upper }: RateBounds): RateEvidence {
  return { n, k, rate: roundedOrNull(n === 0 ? null : k / n), lower: rounded(lower), upper: rounded(upper) }
}
