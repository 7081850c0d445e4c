/**
 * Judges a rollout step: sums of requests in, one report per gate out. Pure, so a verdict can be replayed from its evidence.
 *
 * Law: the chance that a candidate as good as stable is ever failed, over all looks, gates and steps of one rollout, is at most
 * `falseAlarmBudget`. Missing data never passes. How the samples came about (scraping, plans) is left to others.
 */
import type { Samples } from './samples.ts'
import type { GateReport } from './verdict.ts'

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

export interface JudgePolicy {
  /** Requests that the candidate must have answered before a gate passes. */
  readonly minSamples: number
  /** Steps of the rollout with a weight: each is a sequential test of its own and gets its share of the budget. */
  readonly steps: number
  /** Chance of failing a good candidate once in the whole rollout; default 0.05. */
  readonly falseAlarmBudget?: number
}

/** One report per gate, in their order. */
export function judgeGates(gates: readonly GateSpec[], samples: Samples, policy: JudgePolicy): GateReport[] {
  throw new Error(`not built yet: ${gates.length} ${policy.minSamples} ${samples.candidate.ok}`)
}
