/**
 * Judges whether the candidate is slower than stable: the ratio of one latency quantile of each, both bounded at alpha / 2.
 * Durations are the server's own, of requests answered well; those that failed are the error rate gate's business.
 */
import type { Terms } from './error-rate.ts'
import type { Histogram, QuantileBounds } from './quantile.ts'
import { quantileBounds } from './quantile.ts'
import { moreTrials, trialsToBoundQuantile } from './sample-size.ts'
import { comparisonOf } from './samples.ts'
import type { Samples } from './samples.ts'
import type {
  Baseline,
  Bounds,
  GateReport,
  LatencyEvidence,
  LatencyGate,
  QuantileEvidence,
  Verdict,
} from './verdict.ts'
import { gateReport } from './verdict.ts'
import { about, brief, milliseconds, outlook, rounded, roundedOrNull } from './wording.ts'

/** Ratios of bucket edges are powers of 1.1 but for the last bits; a limit of 1.1 or 1.21 must not hang on those. */
const ROUNDING = 1 + 1e-9

interface Comparison {
  readonly candidate: Histogram
  readonly stable: Histogram
  readonly baseline: Baseline
  readonly limits: LatencyGate['latency']
  readonly terms: Terms
}

interface Finding {
  readonly verdict: Verdict
  readonly because: 'Ratio' | 'FastEnough' | 'FewSamples' | 'NothingToCompare' | 'Open'
  readonly candidate: QuantileBounds
  readonly stable: QuantileBounds
  /** Upper is Infinity while stable's quantile may be 0 or the candidate's is unbounded. */
  readonly ratio: { readonly lower: number; readonly upper: number }
}

export function judgeLatency(gate: LatencyGate, samples: Samples, terms: Terms): GateReport {
  const { stable, baseline } = comparisonOf(samples, (answers) => trialsOf(answers.latency))
  const comparison: Comparison = {
    candidate: samples.candidate.latency,
    stable: stable.latency,
    baseline,
    limits: gate.latency,
    terms,
  }
  const finding = find(comparison, 1)
  const more = finding.verdict === 'Inconclusive' ? missing(comparison, finding) : undefined
  const message = `${seen(comparison, finding)}: ${conclusion(comparison, finding, more)}`
  return gateReport(gate.name, finding.verdict, message, evidenceOf(comparison, finding, more))
}

function trialsOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0)
}

/** The finding if all counts that still grow were `scale` times what they are. */
function find(comparison: Comparison, scale: number): Finding {
  const { limits, terms, baseline } = comparison
  const question = { quantile: limits.quantile, alpha: terms.alpha / 2 }
  const candidate = quantileBounds(comparison.candidate, { ...question, scale })
  const stable = quantileBounds(comparison.stable, { ...question, scale: baseline === 'EarlierSteps' ? 1 : scale })
  const ratio = ratioOf(candidate, stable)
  const found = (verdict: Verdict, because: Finding['because']): Finding => ({
    verdict,
    because,
    candidate,
    stable,
    ratio,
  })
  const ignoreBelowSeconds = (limits.ignoreBelowMs ?? 0) / 1000
  const maxRatio = limits.maxRatio * ROUNDING
  const isRatioFine = ratio.upper <= maxRatio
  const isFastEnough = candidate.upperSeconds <= ignoreBelowSeconds
  if (ratio.lower > maxRatio && candidate.lowerSeconds > ignoreBelowSeconds) return found('Fail', 'Ratio')
  if (isRatioFine || isFastEnough) {
    if (candidate.trials * scale < terms.minSamples) return found('Inconclusive', 'FewSamples')
    return found('Pass', isRatioFine ? 'Ratio' : 'FastEnough')
  }
  return found('Inconclusive', stable.trials === 0 ? 'NothingToCompare' : 'Open')
}

function ratioOf(candidate: QuantileBounds, stable: QuantileBounds): Finding['ratio'] {
  return {
    lower: candidate.lowerSeconds / stable.upperSeconds,
    upper: stable.lowerSeconds === 0 ? Infinity : candidate.upperSeconds / stable.lowerSeconds,
  }
}

function missing(comparison: Comparison, { candidate }: Finding): number | undefined {
  const { limits, terms } = comparison
  if (candidate.trials === 0) {
    return Math.max(terms.minSamples, trialsToBoundQuantile({ quantile: limits.quantile, alpha: terms.alpha }))
  }
  return moreTrials(candidate.trials, (scale) => find(comparison, scale).verdict !== 'Inconclusive')
}

function seen({ limits, baseline }: Comparison, { candidate, stable }: Finding): string {
  const reference = baseline === 'EarlierSteps' ? "stable's (with earlier steps)" : "stable's"
  const name = `p${brief(100 * limits.quantile)}`
  return `candidate's ${name} is ${measured(candidate)}, ${reference} ${measured(stable)}`
}

function measured({ observedSeconds, trials }: QuantileBounds): string {
  if (observedSeconds === null) return 'not measured yet'
  const value = observedSeconds === Infinity ? 'beyond the scale' : milliseconds(observedSeconds)
  return `${value} over ${trials} ${trials === 1 ? 'request' : 'requests'}`
}

function conclusion({ limits, terms }: Comparison, finding: Finding, more: number | undefined): string {
  const allowed = `allowed is ${brief(limits.maxRatio)} times`
  const { candidate, ratio } = finding
  switch (finding.because) {
    case 'Ratio':
      return finding.verdict === 'Fail'
        ? `it is at least ${brief(ratio.lower)} times as slow, ${allowed}`
        : `it is at most ${brief(ratio.upper)} times as slow, ${allowed}`
    case 'FastEnough':
      return `it is at most ${milliseconds(candidate.upperSeconds)}, and up to ${brief(limits.ignoreBelowMs ?? 0)} ms no ratio is asked for`
    case 'FewSamples':
      return `that is good enough, but ${terms.minSamples} requests are the minimum: ${about(more ?? 0)} needed`
    case 'NothingToCompare':
      return 'without requests that stable answered there is no ratio to judge'
    case 'Open':
      return `${between(ratio)}, ${allowed}; ${outlook(more, 'the ratio is within a bucket (10 %) of the limit')}`
    default:
      return finding.because satisfies never
  }
}

function between({ lower, upper }: Finding['ratio']): string {
  if (upper === Infinity)
    return lower === 0 ? 'the ratio is not bounded yet' : `it is at least ${brief(lower)} times as slow`
  return `it is between ${brief(lower)} and ${brief(upper)} times as slow`
}

function evidenceOf(comparison: Comparison, finding: Finding, more: number | undefined): LatencyEvidence {
  const { limits, terms, baseline } = comparison
  return {
    kind: 'latency',
    quantile: limits.quantile,
    candidate: quantileEvidence(finding.candidate),
    stable: quantileEvidence(finding.stable),
    ratio: ratioEvidence(finding.ratio),
    maxRatio: limits.maxRatio,
    ...(limits.ignoreBelowMs !== undefined && { ignoreBelowMs: limits.ignoreBelowMs }),
    minSamples: terms.minSamples,
    alpha: rounded(terms.alpha),
    baseline,
    ...(more !== undefined && { moreSamples: more }),
  }
}

function quantileEvidence({ trials, observedSeconds, lowerSeconds, upperSeconds }: QuantileBounds): QuantileEvidence {
  return {
    n: trials,
    seconds: roundedOrNull(observedSeconds),
    lower: rounded(lowerSeconds),
    upper: roundedOrNull(upperSeconds),
  }
}

function ratioEvidence({ lower, upper }: Finding['ratio']): Bounds {
  return { lower: rounded(lower), upper: roundedOrNull(upper) }
}
