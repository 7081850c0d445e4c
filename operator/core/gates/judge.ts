/**
 * Judges a rollout step: sums of requests in, one report per gate out. Pure, so a verdict can be replayed from its evidence.
 *
 * Law: the chance that a candidate as good as stable is ever failed, over all looks, gates and steps of one rollout, is at most
 * `falseAlarmBudget`. Missing data never passes. How the samples came about (scraping, plans) is left to others.
 */
import type { Samples } from './samples.ts'
import type { GateReport, GateSpec } from './verdict.ts'

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
