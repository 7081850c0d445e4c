import type { Condition, Deployment, DeploymentStatus, ReplicaSet } from '../objects.ts'
import { conditionOf } from '../pod-state.ts'
import { millisOf, timestamp } from '../timestamps.ts'
import { availableOf, boundsOf } from './sizing.ts'

const DEFAULT_PROGRESS_DEADLINE_SECONDS = 600
const NO_DEADLINE = 2 ** 31 - 1
const AVAILABLE_REASON = 'NewReplicaSetAvailable'
const TIMED_OUT_REASON = 'ProgressDeadlineExceeded'
const PAUSED_REASON = 'DeploymentPaused'

interface Verdict {
  readonly status: Condition['status']
  readonly reason: string
  readonly message: string
}

/** Milliseconds that a rollout may stand still; undefined when the Deployment sets no deadline. */
function deadlineMs(deployment: Deployment): number | undefined {
  const seconds = deployment.spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_SECONDS
  return seconds === NO_DEADLINE ? undefined : seconds * 1000
}

/** Sets a condition; one of the same status and reason stays as it is, one of the same status keeps its transition time. */
export function withCondition(
  conditions: readonly Condition[],
  type: string,
  verdict: Verdict,
  nowMs: number,
): Condition[] {
  const current = conditionOf(conditions, type)
  if (current?.status === verdict.status && current.reason === verdict.reason) return [...conditions]
  return replaced(conditions, type, verdict, nowMs)
}

function replaced(conditions: readonly Condition[], type: string, verdict: Verdict, nowMs: number): Condition[] {
  const current = conditionOf(conditions, type)
  const now = timestamp(nowMs)
  const lastTransitionTime = current?.status === verdict.status ? (current.lastTransitionTime ?? now) : now
  return [...without(conditions, type), { type, ...verdict, lastUpdateTime: now, lastTransitionTime }]
}

function without(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type)
}

/** Available: as many replicas as the strategy promises to keep. */
export function withAvailability(deployment: Deployment, status: DeploymentStatus, nowMs: number): Condition[] {
  const { replicas, maxUnavailable } = boundsOf(deployment)
  const enough = (status.availableReplicas ?? 0) >= replicas - maxUnavailable
  const verdict: Verdict = enough
    ? { status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
    : {
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      }
  return withCondition(status.conditions ?? [], 'Available', verdict, nowMs)
}

/** ReplicaFailure: what keeps the ReplicaSets from creating pods, the newest one's trouble first. */
export function withReplicaFailure(
  conditions: readonly Condition[],
  newestFirst: readonly ReplicaSet[],
  nowMs: number,
): Condition[] {
  for (const replicaSet of newestFirst) {
    const failure = conditionOf(replicaSet.status?.conditions, 'ReplicaFailure')
    if (failure?.status !== 'True') continue
    const verdict: Verdict = {
      status: 'True',
      reason: failure.reason ?? 'FailedCreate',
      message: failure.message ?? '',
    }
    return withCondition(conditions, 'ReplicaFailure', verdict, nowMs)
  }
  return without(conditions, 'ReplicaFailure')
}

/** Progressing while paused, or just resumed. A rollout that has timed out stays so. */
export function withPause(deployment: Deployment, conditions: readonly Condition[], nowMs: number): Condition[] {
  if (deadlineMs(deployment) === undefined) return [...conditions]
  const reason = conditionOf(conditions, 'Progressing')?.reason
  if (reason === TIMED_OUT_REASON) return [...conditions]
  const paused = deployment.spec.paused === true
  if (paused === (reason === PAUSED_REASON)) return [...conditions]
  const verdict: Verdict = paused
    ? { status: 'Unknown', reason: PAUSED_REASON, message: 'Deployment is paused' }
    : { status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  return withCondition(conditions, 'Progressing', verdict, nowMs)
}

/** What happened to the newest ReplicaSet in this very sync. */
export type NewestEvent =
  | { readonly kind: 'created'; readonly name: string }
  | { readonly kind: 'found'; readonly name: string }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'none' }

/** Progressing as the newest ReplicaSet itself changes it: created, found at first sight, or refused by the API server. */
export function withNewest(
  deployment: Deployment,
  conditions: readonly Condition[],
  event: NewestEvent,
  nowMs: number,
): Condition[] {
  if (deadlineMs(deployment) === undefined) return without(conditions, 'Progressing')
  const verdict = verdictOfNewest(event, conditions)
  return verdict === undefined ? [...conditions] : withCondition(conditions, 'Progressing', verdict, nowMs)
}

function verdictOfNewest(event: NewestEvent, conditions: readonly Condition[]): Verdict | undefined {
  switch (event.kind) {
    case 'created':
      return { status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${event.name}"` }
    case 'found':
      if (conditionOf(conditions, 'Progressing') !== undefined) return undefined
      return { status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${event.name}"` }
    case 'refused':
      return { status: 'False', reason: 'ReplicaSetCreateError', message: event.message }
    case 'none':
      return undefined
    default:
      return event satisfies never
  }
}

/** The Deployment's goal is reached: everything new, everything available, nothing old left, and the spec seen. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const { replicas } = boundsOf(deployment)
  const seen = (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  const counts = [status.updatedReplicas, status.replicas, status.availableReplicas]
  return seen && counts.every((count) => (count ?? 0) === replicas)
}

/**
 * Progressing as the counts show it. `status` holds the new counts and the conditions so far; `deployment.status` the former counts.
 * Once a rollout completed, pods that turn unready later do not reopen it.
 */
export function withProgress(
  deployment: Deployment,
  status: DeploymentStatus,
  subject: string,
  nowMs: number,
): Condition[] {
  const conditions = status.conditions ?? []
  const deadline = deadlineMs(deployment)
  if (deadline === undefined) return without(conditions, 'Progressing')
  const current = conditionOf(conditions, 'Progressing')
  const completedBefore = status.replicas === status.updatedReplicas && current?.reason === AVAILABLE_REASON
  if (completedBefore) return [...conditions]
  if (isComplete(deployment, status)) {
    const message = `${subject} has successfully progressed.`
    return withCondition(conditions, 'Progressing', { status: 'True', reason: AVAILABLE_REASON, message }, nowMs)
  }
  if (hasProgressed(deployment.status ?? {}, status)) {
    const message = `${subject} is progressing.`
    return replaced(conditions, 'Progressing', { status: 'True', reason: 'ReplicaSetUpdated', message }, nowMs)
  }
  if (current !== undefined && hasTimedOut(current, deadline, nowMs)) {
    const message = `${subject} has timed out progressing.`
    return withCondition(conditions, 'Progressing', { status: 'False', reason: TIMED_OUT_REASON, message }, nowMs)
  }
  return [...conditions]
}

function hasProgressed(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  const grown = (field: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas'): boolean =>
    (after[field] ?? 0) > (before[field] ?? 0)
  return grown('updatedReplicas') || old(after) < old(before) || grown('readyReplicas') || grown('availableReplicas')
}

function hasTimedOut(current: Condition, deadline: number, nowMs: number): boolean {
  if (current.reason === AVAILABLE_REASON) return false
  if (current.reason === TIMED_OUT_REASON) return true
  const since = millisOf(current.lastUpdateTime)
  return since !== undefined && since + deadline < nowMs
}

/** When a rollout that stands still will have stood still for too long; undefined when nothing waits for that. */
export function deadlineAt(deployment: Deployment, status: DeploymentStatus): number | undefined {
  const deadline = deadlineMs(deployment)
  const current = conditionOf(status.conditions, 'Progressing')
  const since = millisOf(current?.lastUpdateTime)
  if (deadline === undefined || since === undefined || deployment.spec.paused === true) return undefined
  if (isComplete(deployment, status) || current?.reason === TIMED_OUT_REASON || current?.reason === AVAILABLE_REASON)
    return undefined
  return since + deadline + 1000
}

/** The counts of a Deployment are the sums of its ReplicaSets'. */
export function countsOf(
  deployment: Deployment,
  newest: ReplicaSet | undefined,
  all: readonly ReplicaSet[],
): DeploymentStatus {
  const sum = (count: (replicaSet: ReplicaSet) => number | undefined): number =>
    all.reduce((total, replicaSet) => total + (count(replicaSet) ?? 0), 0)
  const replicas = sum((replicaSet) => replicaSet.status?.replicas)
  const availableReplicas = sum(availableOf)
  const { collisionCount } = deployment.status ?? {}
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: newest?.status?.replicas ?? 0,
    readyReplicas: sum((replicaSet) => replicaSet.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, replicas - availableReplicas),
    terminatingReplicas: sum((replicaSet) => replicaSet.status?.terminatingReplicas),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: deployment.status?.conditions ?? [],
  }
}
