import type { Condition, Pod, ReplicaSet, ReplicaSetStatus } from '../objects.ts'
import { countByNode, inDeletionOrder } from '../deletion-order.ts'
import { availableFrom, isActive, isAvailable, isDeleting, isReady, isTerminating } from '../pod-state.ts'
import { earliest } from '../timestamps.ts'

/** At most this many pods are created or deleted at one go. */
const BURST_REPLICAS = 500

export interface ReplicaSetObservation {
  readonly replicaSet: ReplicaSet
  /** The pods that it controls, whatever their state. */
  readonly pods: readonly Pod[]
  /** Active pods of its siblings, the other ReplicaSets of the same Deployment, and of itself: whoever crowds a node goes first. */
  readonly relatedPods: readonly Pod[]
}

export interface ReplicaSetPlan {
  readonly create: number
  readonly remove: readonly Pod[]
  /** When a pod that is ready now will have been so for minReadySeconds; look again then. */
  readonly lookAgainAt?: number
}

/** How many pods are missing, or which ones are too many. */
export function planReplicas(seen: ReplicaSetObservation, nowMs: number): ReplicaSetPlan {
  const { replicaSet, pods } = seen
  const active = pods.filter(isActive)
  const lookAgainAt = nextAvailability(active, replicaSet.spec.minReadySeconds ?? 0, nowMs)
  const again = lookAgainAt === undefined ? {} : { lookAgainAt }
  if (isDeleting(replicaSet)) return { create: 0, remove: [], ...again }
  const missing = (replicaSet.spec.replicas ?? 1) - active.length
  if (missing >= 0) return { create: Math.min(missing, BURST_REPLICAS), remove: [], ...again }
  const ordered = inDeletionOrder(active, countByNode(seen.relatedPods), nowMs)
  return { create: 0, remove: ordered.slice(0, Math.min(-missing, BURST_REPLICAS)), ...again }
}

/** The status that the pods amount to. `failure` is the last create or delete that the API server refused. */
export function replicaSetStatus(
  replicaSet: ReplicaSet,
  pods: readonly Pod[],
  failure: Condition | undefined,
  nowMs: number,
): ReplicaSetStatus {
  const minReadySeconds = replicaSet.spec.minReadySeconds ?? 0
  const active = pods.filter(isActive)
  const templateLabels = Object.entries(replicaSet.spec.template.metadata?.labels ?? {})
  const fullyLabeled = active.filter((pod) =>
    templateLabels.every(([key, value]) => pod.metadata.labels?.[key] === value),
  )
  const conditions = withFailure(replicaSet.status?.conditions ?? [], failure)
  return {
    replicas: active.length,
    fullyLabeledReplicas: fullyLabeled.length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: active.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length,
    terminatingReplicas: pods.filter(isTerminating).length,
    observedGeneration: replicaSet.metadata.generation ?? 0,
    ...(conditions.length === 0 ? {} : { conditions }),
  }
}

function withFailure(conditions: readonly Condition[], failure: Condition | undefined): Condition[] {
  const current = conditions.find((condition) => condition.type === 'ReplicaFailure')
  if (failure !== undefined && current?.status === failure.status && current.reason === failure.reason)
    return [...conditions]
  const others = conditions.filter((condition) => condition.type !== 'ReplicaFailure')
  return failure === undefined ? others : [...others, failure]
}

function nextAvailability(active: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  return earliest(
    ...active.map((pod) => availableFrom(pod, minReadySeconds)).filter((from) => from !== undefined && from > nowMs),
  )
}

/** Batch sizes of a slow start: 1, 2, 4 ... so that a template that the API server refuses costs one call and not hundreds. */
export function slowStartBatches(count: number): number[] {
  const batches: number[] = []
  for (let left = count, size = 1; left > 0; size *= 2) {
    batches.push(Math.min(size, left))
    left -= size
  }
  return batches
}
