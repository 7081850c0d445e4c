import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '../objects.ts'
import { resolveCount } from '../int-or-percent.ts'
import { conditionOf, isActive, isDeleting, isReady, isTerminal } from '../pod-state.ts'
import { earliest, millisOf, timestamp } from '../timestamps.ts'

/** An eviction that was granted counts for this long; a pod that is still not being deleted by then is counted again. */
const EVICTION_TIMEOUT_MS = 120_000

export interface BudgetObservation {
  readonly budget: PodDisruptionBudget
  /** The pods that the selector matches. */
  readonly pods: readonly Pod[]
  /** Sum of the sizes that the pods' workloads ask for. */
  readonly workloadReplicas: number
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus
  readonly lookAgainAt?: number
}

/** How many of the pods may be evicted now. */
export function planBudget({ budget, pods, workloadReplicas }: BudgetObservation, nowMs: number): BudgetPlan {
  const standing = pods.filter((pod) => !isTerminal(pod))
  const { expectedPods, desiredHealthy } = wanted(budget, pods, workloadReplicas)
  const evicted = pendingEvictions(budget, standing, nowMs)
  const healthy = standing.filter((pod) => isActive(pod) && isReady(pod) && evicted[pod.metadata.name] === undefined)
  const disruptionsAllowed = expectedPods === 0 ? 0 : Math.max(0, healthy.length - desiredHealthy)
  const times = Object.values(evicted).map((time) => (millisOf(time) ?? nowMs) + EVICTION_TIMEOUT_MS)
  const lookAgainAt = earliest(...times)
  const status: PodDisruptionBudgetStatus = {
    observedGeneration: budget.metadata.generation ?? 0,
    disruptionsAllowed,
    currentHealthy: healthy.length,
    desiredHealthy,
    expectedPods,
    conditions: withDisruptionAllowed(budget, disruptionsAllowed, nowMs),
    ...(Object.keys(evicted).length === 0 ? {} : { disruptedPods: evicted }),
  }
  return { status, ...(lookAgainAt === undefined ? {} : { lookAgainAt }) }
}

function wanted(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  workloadReplicas: number,
): { expectedPods: number; desiredHealthy: number } {
  const { minAvailable, maxUnavailable } = budget.spec
  if (maxUnavailable !== undefined) {
    const unavailable = resolveCount(maxUnavailable, workloadReplicas, 'up')
    return { expectedPods: workloadReplicas, desiredHealthy: Math.max(0, workloadReplicas - unavailable) }
  }
  if (typeof minAvailable === 'number') return { expectedPods: pods.length, desiredHealthy: minAvailable }
  if (minAvailable === undefined) return { expectedPods: pods.length, desiredHealthy: pods.length }
  return { expectedPods: workloadReplicas, desiredHealthy: resolveCount(minAvailable, workloadReplicas, 'up') }
}

/** Evictions that were granted and whose pods are not being deleted yet: those pods are as good as gone. */
function pendingEvictions(budget: PodDisruptionBudget, pods: readonly Pod[], nowMs: number): Record<string, string> {
  const present = new Map(pods.map((pod) => [pod.metadata.name, pod]))
  const pending = Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, time]) => {
    const pod = present.get(name)
    return pod !== undefined && !isDeleting(pod) && (millisOf(time) ?? 0) + EVICTION_TIMEOUT_MS > nowMs
  })
  return Object.fromEntries(pending)
}

function withDisruptionAllowed(budget: PodDisruptionBudget, allowed: number, nowMs: number): Condition[] {
  const conditions = budget.status?.conditions ?? []
  const current = conditionOf(conditions, 'DisruptionAllowed')
  const status = allowed > 0 ? 'True' : 'False'
  const now = timestamp(nowMs)
  const condition: Condition = {
    type: 'DisruptionAllowed',
    status,
    reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime: current?.status === status ? (current.lastTransitionTime ?? now) : now,
  }
  return [...conditions.filter(({ type }) => type !== 'DisruptionAllowed'), condition]
}
