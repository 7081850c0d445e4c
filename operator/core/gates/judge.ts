/**
 * Judges a rollout step: sums of requests in, one report per gate out. Pure, so a verdict can be replayed from its evidence.
 *
 * Law: the chance that a candidate as good as stable is ever failed, over all looks, gates and steps of one rollout, is at most
 * `falseAlarmBudget` (beside it, a candidate that the relay's circuit breaker shuts out fails without statistics). Missing data never
 * passes. How the samples came about (scraping, plans) is left to others.
 */
import { judgeErrorRate } from './error-rate.ts'
import type { Terms } from './error-rate.ts'
import { judgeLatency } from './latency.ts'
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

const DEFAULT_FALSE_ALARM_BUDGET = 0.05

/** One report per gate, in their order. No report is kept or needed from earlier looks. */
export function judgeGates(gates: readonly GateSpec[], samples: Samples, policy: JudgePolicy): GateReport[] {
  const terms: Terms = { alpha: alphaPerGate(gates.length, policy), minSamples: policy.minSamples }
  return gates.map((gate) => withheldWhileUnread(judge(gate, samples, terms), samples.unread ?? []))
}

/** Bonferroni: the budget of the whole rollout in equal parts for every gate at every step with a weight. */
export function alphaPerGate(gateCount: number, policy: JudgePolicy): number {
  return (policy.falseAlarmBudget ?? DEFAULT_FALSE_ALARM_BUDGET) / (Math.max(gateCount, 1) * Math.max(policy.steps, 1))
}

function judge(gate: GateSpec, samples: Samples, terms: Terms): GateReport {
  return 'errorRate' in gate ? judgeErrorRate(gate, samples, terms) : judgeLatency(gate, samples, terms)
}

/** A bad pod may be exactly the one that does not answer; what the others prove against the candidate holds all the same. */
function withheldWhileUnread(report: GateReport, unread: readonly string[]): GateReport {
  if (report.verdict !== 'Pass' || unread.length === 0) return report
  const some = unread.slice(0, 3).join(', ')
  const names = unread.length > 3 ? `${some} and ${unread.length - 3} more` : some
  return {
    ...report,
    verdict: 'Inconclusive',
    message: `${report.message}; it does not pass while evidence is missing from ${names}`,
  }
}
