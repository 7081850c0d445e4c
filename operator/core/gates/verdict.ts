/** A gate's question and its answer: what was decided, in one sentence for people, with the numbers it was drawn from. */

export type GateSpec = ErrorRateGate | LatencyGate

export interface ErrorRateGate {
  readonly name: string
  readonly errorRate: {
    /** Allowed difference of the error rates, candidate minus stable: 0.01 is one percentage point. */
    readonly maxIncrease: number
  }
}

export interface LatencyGate {
  readonly name: string
  readonly latency: {
    /** 0.99 compares the 99th percentiles. */
    readonly quantile: number
    /** Allowed ratio candidate / stable. */
    readonly maxRatio: number
    /** A candidate whose quantile is below this passes whatever the ratio. */
    readonly ignoreBelowMs?: number
  }
}

export type Verdict = 'Pass' | 'Fail' | 'Inconclusive'

/** One gate's answer. It ends in the ModelDeployment's status as it is: plain JSON, numbers rounded to 4 significant digits. */
export interface GateReport {
  readonly name: string
  /** Same as `evidence.kind`; a column of its own because people list by it. */
  readonly kind: GateKind
  readonly verdict: Verdict
  /** One sentence: what was seen, what it proves at least, what is allowed or what is missing. */
  readonly message: string
  readonly evidence: GateEvidence
}

export type GateEvidence = ErrorRateEvidence | LatencyEvidence | CheckEvidence
export type GateKind = GateEvidence['kind']

/** What the candidate was compared with: stable under this plan, stable's answers of earlier plans too, or nothing but zero errors. */
export type Baseline = 'Stable' | 'EarlierSteps' | 'None'

export interface ErrorRateEvidence {
  readonly kind: 'errorRate'
  readonly candidate: CandidateRateEvidence
  readonly stable: RateEvidence
  /** Bounds of candidate's rate minus stable's rate. */
  readonly increase: Bounds
  readonly maxIncrease: number
  readonly minSamples: number
  /** Probability, over all looks together, that the bounds of this gate miss the truth. */
  readonly alpha: number
  readonly baseline: Baseline
  /** Estimated further requests that the candidate must answer before the gate decides; absent when decided or when no number would do. */
  readonly moreSamples?: number
}

export interface LatencyEvidence {
  readonly kind: 'latency'
  readonly quantile: number
  readonly candidate: QuantileEvidence
  readonly stable: QuantileEvidence
  /** Bounds of candidate's quantile divided by stable's; upper is null while unbounded. */
  readonly ratio: Bounds
  readonly maxRatio: number
  readonly ignoreBelowMs?: number
  readonly minSamples: number
  readonly alpha: number
  readonly baseline: Baseline
  readonly moreSamples?: number
}

/** A check without statistics (contract, golden set, health): facts that a person understands. */
export interface CheckEvidence {
  readonly kind: 'contract' | 'golden' | 'health' | 'resolve'
  readonly facts: Readonly<Record<string, string | number | boolean>>
}

export interface RateEvidence {
  /** Requests that count: answered or failed. */
  readonly n: number
  /** Of these, failed. */
  readonly k: number
  /** k / n; null while n is 0. */
  readonly rate: number | null
  readonly lower: number
  readonly upper: number
}

export interface CandidateRateEvidence extends RateEvidence {
  /** Requests meant for the candidate that the open circuit breaker kept away from it. */
  readonly skipped: number
  /** The commonest failures, in the words of whoever saw them, with how often each was seen; absent without any. */
  readonly errors?: readonly { readonly message: string; readonly count: number }[]
}

export interface QuantileEvidence {
  /** Requests whose duration was measured. */
  readonly n: number
  /** The quantile as observed (a bucket's upper edge); null while n is 0 or beyond the last bucket. */
  readonly seconds: number | null
  readonly lower: number
  /** null while nothing bounds it from above. */
  readonly upper: number | null
}

export interface Bounds {
  readonly lower: number
  readonly upper: number | null
}

/** Builds a report; the kind is taken from the evidence, so that the two never differ. */
export function gateReport(name: string, verdict: Verdict, message: string, evidence: GateEvidence): GateReport {
  return { name, kind: evidence.kind, verdict, message, evidence }
}

/** One Fail fails all; Pass needs every gate to pass. No gates at all is Pass: health gating is asked elsewhere and still holds. */
export function combine(reports: readonly GateReport[]): Verdict {
  if (reports.some((report) => report.verdict === 'Fail')) return 'Fail'
  return reports.every((report) => report.verdict === 'Pass') ? 'Pass' : 'Inconclusive'
}
