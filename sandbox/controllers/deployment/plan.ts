import type { Condition, Deployment, DeploymentStatus, NewObject, Pod, ReplicaSet } from '../objects.ts'
import { sameMeaning } from '../canonical.ts'
import { withoutZeros } from '../counts.ts'
import { controllerReference } from '../ownership.ts'
import { isDeleting, isTerminal } from '../pod-state.ts'
import {
  countsOf,
  deadlineAt,
  isComplete,
  withAvailability,
  withNewest,
  withPause,
  withProgress,
  withReplicaFailure,
  type NewestEvent,
} from './conditions.ts'
import { annotatedNumber, DESIRED_REPLICAS, MAX_REPLICAS, newestAnnotations, POD_TEMPLATE_HASH } from './revisions.ts'
import { revisionOf, sameTemplate, templateHash } from './revisions.ts'
import {
  boundsOf,
  isRecreate,
  newReplicaSetSize,
  olderFirst,
  rescale,
  shrinkOld,
  sizeOf,
  type Sizes,
} from './sizing.ts'

export const DEPLOYMENT = { apiVersion: 'apps/v1', kind: 'Deployment' }

export interface DeploymentObservation {
  readonly deployment: Deployment
  /** The ReplicaSets that it controls. */
  readonly replicaSets: readonly ReplicaSet[]
  /** The pods of those ReplicaSets. */
  readonly pods: readonly Pod[]
  /** What the API server said when it refused the last new ReplicaSet; a collision of names is counted in status instead. */
  readonly refusal?: string
}

export interface DeploymentPlan {
  readonly create?: NewObject<ReplicaSet>
  /** ReplicaSets as they should be: sizes and annotations. */
  readonly update: readonly ReplicaSet[]
  /** Old ReplicaSets beyond the history limit. */
  readonly remove: readonly ReplicaSet[]
  readonly status: DeploymentStatus
  /** The revision annotation that goes with the status; undefined: leave it. */
  readonly revision?: number
  readonly lookAgainAt?: number
}

/** One movement of a Deployment: at most one of creating, resizing and cleaning up, and the status that follows from what is there now. */
export function planDeployment(seen: DeploymentObservation, nowMs: number): DeploymentPlan {
  const { deployment } = seen
  const newest = [...seen.replicaSets]
    .sort(olderFirst)
    .find((one) => sameTemplate(one.spec.template, deployment.spec.template))
  const old = seen.replicaSets.filter((one) => one !== newest)
  const step = isDeleting(deployment) ? nothing : nextStep(seen, newest, old)
  const revision = newest === undefined ? revisionAfter(old) : Math.max(revisionOf(newest), revisionAfter(old))
  const create = step.create === undefined ? undefined : newReplicaSet(deployment, seen.replicaSets, revision)
  const update = isDeleting(deployment) ? [] : updates(deployment, { newest, old, revision, sizes: step.sizes })
  const event = newestEvent(seen, newest, create)
  const status = nextStatus({ seen, newest, old, event, settled: step.settled }, nowMs)
  const lookAgainAt = deadlineAt(deployment, status)
  return {
    ...(create === undefined ? {} : { create }),
    update,
    remove: step.cleanUp === true ? beyondHistory(deployment, old) : [],
    status: withoutZeros(status, ['terminatingReplicas']),
    ...(newest === undefined && create === undefined ? {} : { revision }),
    ...(lookAgainAt === undefined ? {} : { lookAgainAt }),
  }
}

interface Step {
  readonly sizes: Sizes
  readonly create?: true
  readonly cleanUp?: boolean
  /** True when this is no step of a rollout (paused, just scaled, being deleted), so that progress is not judged. */
  readonly settled?: true
}

const nothing: Step = { sizes: new Map(), settled: true }

function nextStep(seen: DeploymentObservation, newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): Step {
  const { deployment } = seen
  if (deployment.spec.paused === true) return { sizes: rescale(deployment, newest, old), cleanUp: true, settled: true }
  if (wasScaled(deployment, seen.replicaSets)) return { sizes: rescale(deployment, newest, old), settled: true }
  return isRecreate(deployment) ? recreateStep(seen, newest, old) : rollingStep(deployment, newest, old)
}

function rollingStep(deployment: Deployment, newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): Step {
  if (newest === undefined) return { sizes: new Map(), create: true }
  const { replicas } = boundsOf(deployment)
  const size = sizeOf(newest) > replicas ? replicas : newReplicaSetSize(deployment, [...old, newest], sizeOf(newest))
  if (size !== sizeOf(newest)) return { sizes: new Map([[newest.metadata.name, size]]) }
  return { sizes: shrinkOld(deployment, newest, old), cleanUp: isComplete(deployment, deployment.status ?? {}) }
}

/** Recreate: the old pods are all gone before the first new one is asked for. */
function recreateStep(seen: DeploymentObservation, newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): Step {
  const { deployment, pods } = seen
  const oldActive = old.filter((replicaSet) => sizeOf(replicaSet) > 0)
  if (oldActive.length > 0) return { sizes: new Map(oldActive.map((replicaSet) => [replicaSet.metadata.name, 0])) }
  const oldUids = new Set(old.map((replicaSet) => replicaSet.metadata.uid))
  const oldPodsRun = pods.some(
    (pod) => !isTerminal(pod) && pod.metadata.ownerReferences?.some((owner) => oldUids.has(owner.uid)),
  )
  if (oldPodsRun) return { sizes: new Map() }
  if (newest === undefined) return { sizes: new Map(), create: true }
  const sizes = new Map([[newest.metadata.name, boundsOf(deployment).replicas]])
  return { sizes, cleanUp: isComplete(deployment, deployment.status ?? {}) }
}

/** Whether the Deployment's size changed since its ReplicaSets were last sized. */
function wasScaled(deployment: Deployment, replicaSets: readonly ReplicaSet[]): boolean {
  const { replicas } = boundsOf(deployment)
  return replicaSets.some((replicaSet) => {
    const desired = annotatedNumber(replicaSet, DESIRED_REPLICAS)
    return sizeOf(replicaSet) > 0 && desired !== undefined && desired !== replicas
  })
}

function revisionAfter(old: readonly ReplicaSet[]): number {
  return Math.max(0, ...old.map(revisionOf)) + 1
}

function newReplicaSet(deployment: Deployment, all: readonly ReplicaSet[], revision: number): NewObject<ReplicaSet> {
  const { template, selector, minReadySeconds } = deployment.spec
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0)
  const labels = { ...template.metadata?.labels, [POD_TEMPLATE_HASH]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(deployment.metadata.namespace === undefined ? {} : { namespace: deployment.metadata.namespace }),
      labels,
      annotations: { ...newestAnnotations(deployment, {}, revision), ...sizeAnnotations(deployment) },
      ownerReferences: [controllerReference(deployment, DEPLOYMENT)],
    },
    spec: {
      replicas: newReplicaSetSize(deployment, all, 0),
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}

function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const { replicas, maxSurge } = boundsOf(deployment)
  return { [DESIRED_REPLICAS]: String(replicas), [MAX_REPLICAS]: String(replicas + maxSurge) }
}

interface Sizing {
  readonly newest: ReplicaSet | undefined
  readonly old: readonly ReplicaSet[]
  readonly revision: number
  readonly sizes: Sizes
}

function updates(deployment: Deployment, { newest, old, revision, sizes }: Sizing): ReplicaSet[] {
  const wanted = old.map((replicaSet) => resized(deployment, replicaSet, sizes))
  if (newest !== undefined) {
    const annotations = newestAnnotations(deployment, newest.metadata.annotations ?? {}, revision)
    const { minReadySeconds } = deployment.spec
    const spec = { ...newest.spec, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) }
    wanted.push(resized(deployment, { ...newest, metadata: { ...newest.metadata, annotations }, spec }, sizes))
  }
  const current = newest === undefined ? old : [...old, newest]
  return wanted.filter((replicaSet, index) => !sameMeaning(replicaSet, current[index]))
}

/** The ReplicaSet at its new size, which it records together with the Deployment's; unchanged if it has none. */
function resized(deployment: Deployment, replicaSet: ReplicaSet, sizes: Sizes): ReplicaSet {
  const size = sizes.get(replicaSet.metadata.name)
  if (size === undefined) return replicaSet
  const annotations = { ...replicaSet.metadata.annotations, ...sizeAnnotations(deployment) }
  return {
    ...replicaSet,
    metadata: { ...replicaSet.metadata, annotations },
    spec: { ...replicaSet.spec, replicas: size },
  }
}

/** Old ReplicaSets that the history limit leaves no room for, oldest revision first; one that still has or wants pods is kept. */
function beyondHistory(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const alive = old.filter((replicaSet) => !isDeleting(replicaSet)).sort((a, b) => revisionOf(a) - revisionOf(b))
  const surplus = Math.max(0, alive.length - (deployment.spec.revisionHistoryLimit ?? 10))
  return alive.slice(0, surplus).filter((replicaSet) => {
    const seen = (replicaSet.status?.observedGeneration ?? 0) >= (replicaSet.metadata.generation ?? 0)
    return seen && sizeOf(replicaSet) === 0 && (replicaSet.status?.replicas ?? 0) === 0
  })
}

function newestEvent(
  seen: DeploymentObservation,
  newest: ReplicaSet | undefined,
  create: NewObject<ReplicaSet> | undefined,
): NewestEvent {
  if (newest !== undefined) return { kind: 'found', name: newest.metadata.name }
  if (create === undefined) return { kind: 'none' }
  return seen.refusal === undefined
    ? { kind: 'created', name: create.metadata.name ?? '' }
    : { kind: 'refused', message: seen.refusal }
}

interface StatusInputs {
  readonly seen: DeploymentObservation
  readonly newest: ReplicaSet | undefined
  readonly old: readonly ReplicaSet[]
  readonly event: NewestEvent
  readonly settled: true | undefined
}

function nextStatus({ seen, newest, old, event, settled }: StatusInputs, nowMs: number): DeploymentStatus {
  const { deployment } = seen
  const counts = countsOf(deployment, newest, seen.replicaSets)
  let conditions: Condition[] = withPause(deployment, counts.conditions ?? [], nowMs)
  conditions = withNewest(deployment, conditions, event, nowMs)
  conditions = withAvailability(deployment, { ...counts, conditions }, nowMs)
  if (settled !== true) {
    const subject =
      newest === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newest.metadata.name}"`
    conditions = withProgress(deployment, { ...counts, conditions }, subject, nowMs)
    conditions = withReplicaFailure(conditions, newest === undefined ? old : [newest, ...old], nowMs)
  }
  return { ...counts, conditions }
}
