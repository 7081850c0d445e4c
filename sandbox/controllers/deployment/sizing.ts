import type { Deployment, ReplicaSet } from '../objects.ts'
import { resolveCount } from '../int-or-percent.ts'
import { annotatedNumber, DESIRED_REPLICAS, MAX_REPLICAS } from './revisions.ts'

/** What a Deployment asks for, with the API's defaults filled in and percentages resolved. */
export interface Bounds {
  readonly replicas: number
  readonly maxSurge: number
  readonly maxUnavailable: number
}

export function boundsOf(deployment: Deployment): Bounds {
  const replicas = deployment.spec.replicas ?? 1
  if (isRecreate(deployment)) return { replicas, maxSurge: 0, maxUnavailable: 0 }
  const rolling = deployment.spec.strategy?.rollingUpdate
  const maxSurge = resolveCount(rolling?.maxSurge ?? '25%', replicas, 'up')
  const allowed = resolveCount(rolling?.maxUnavailable ?? '25%', replicas, 'down')
  const maxUnavailable = allowed === 0 && maxSurge === 0 ? 1 : allowed
  return { replicas, maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) }
}

export function isRecreate(deployment: Deployment): boolean {
  return deployment.spec.strategy?.type === 'Recreate'
}

export function sizeOf(replicaSet: ReplicaSet): number {
  return replicaSet.spec.replicas ?? 1
}

export function totalSize(replicaSets: readonly ReplicaSet[]): number {
  return replicaSets.reduce((sum, replicaSet) => sum + sizeOf(replicaSet), 0)
}

export function availableOf(replicaSet: ReplicaSet): number {
  return replicaSet.status?.availableReplicas ?? 0
}

export function totalAvailable(replicaSets: readonly ReplicaSet[]): number {
  return replicaSets.reduce((sum, replicaSet) => sum + availableOf(replicaSet), 0)
}

export function olderFirst(a: ReplicaSet, b: ReplicaSet): number {
  return a.metadata.creationTimestamp === b.metadata.creationTimestamp
    ? a.metadata.name.localeCompare(b.metadata.name)
    : a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp)
}

/** The size that the newest ReplicaSet may grow to now: never more than replicas + maxSurge pods in all. */
export function newReplicaSetSize(deployment: Deployment, all: readonly ReplicaSet[], currentSize: number): number {
  const { replicas, maxSurge } = boundsOf(deployment)
  if (isRecreate(deployment)) return replicas
  const room = replicas + maxSurge - totalSize(all)
  if (room <= 0) return currentSize
  return currentSize + Math.min(room, replicas - currentSize)
}

/** New sizes by ReplicaSet name. */
export type Sizes = ReadonlyMap<string, number>

/**
 * How far old ReplicaSets may shrink while the new one grows: replicas that are not available go first, as they cost no capacity;
 * then as many available ones as leave `replicas - maxUnavailable` available in all.
 */
export function shrinkOld(deployment: Deployment, newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): Sizes {
  const { replicas, maxUnavailable } = boundsOf(deployment)
  const everything = newest === undefined ? old : [...old, newest]
  const minAvailable = replicas - maxUnavailable
  const newUnavailable = newest === undefined ? 0 : sizeOf(newest) - availableOf(newest)
  const maxScaledDown = totalSize(everything) - minAvailable - newUnavailable
  const sizes = new Map<string, number>()
  if (totalSize(old) === 0 || maxScaledDown <= 0) return sizes
  const sorted = old.filter((replicaSet) => sizeOf(replicaSet) > 0).sort(olderFirst)
  takeAway(sorted, sizes, maxScaledDown, (replicaSet) => sizeOf(replicaSet) - availableOf(replicaSet))
  takeAway(
    sorted,
    sizes,
    totalAvailable(everything) - minAvailable,
    (replicaSet) => sizes.get(replicaSet.metadata.name) ?? sizeOf(replicaSet),
  )
  return sizes
}

function takeAway(
  replicaSets: readonly ReplicaSet[],
  sizes: Map<string, number>,
  budget: number,
  removable: (replicaSet: ReplicaSet) => number,
): void {
  let left = budget
  for (const replicaSet of replicaSets) {
    const count = Math.min(left, removable(replicaSet))
    if (count <= 0) continue
    const { name } = replicaSet.metadata
    sizes.set(name, (sizes.get(name) ?? sizeOf(replicaSet)) - count)
    left -= count
  }
}

/**
 * The sizes after somebody scaled the Deployment (or while it is paused): one ReplicaSet alone takes it all; in the middle of a
 * rollout the change is spread in proportion to the sizes that the ReplicaSets have, the rest going to the largest.
 */
export function rescale(deployment: Deployment, newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): Sizes {
  const { replicas } = boundsOf(deployment)
  const single = activeOrLatest(newest, old)
  if (single !== undefined) return new Map([[single.metadata.name, replicas]])
  const activeOld = old.filter((replicaSet) => sizeOf(replicaSet) > 0)
  if (newest !== undefined && isSaturated(deployment, newest)) {
    return new Map(activeOld.map((replicaSet) => [replicaSet.metadata.name, 0]))
  }
  return isRecreate(deployment)
    ? new Map()
    : inProportion(deployment, newest === undefined ? activeOld : [...activeOld, newest])
}

function activeOrLatest(newest: ReplicaSet | undefined, old: readonly ReplicaSet[]): ReplicaSet | undefined {
  const active = [...old, ...(newest === undefined ? [] : [newest])].filter((replicaSet) => sizeOf(replicaSet) > 0)
  if (active.length > 1) return undefined
  return active[0] ?? newest ?? [...old].sort(olderFirst).at(-1)
}

function isSaturated(deployment: Deployment, newest: ReplicaSet): boolean {
  const { replicas } = boundsOf(deployment)
  return (
    sizeOf(newest) === replicas &&
    annotatedNumber(newest, DESIRED_REPLICAS) === replicas &&
    availableOf(newest) === replicas
  )
}

function inProportion(deployment: Deployment, candidates: readonly ReplicaSet[]): Sizes {
  const { replicas, maxSurge } = boundsOf(deployment)
  const active = candidates.filter((replicaSet) => sizeOf(replicaSet) > 0)
  const toAdd = (replicas > 0 ? replicas + maxSurge : 0) - totalSize(active)
  const ageOrder = toAdd > 0 ? -1 : 1
  const sorted = [...active].sort((a, b) => sizeOf(b) - sizeOf(a) || ageOrder * olderFirst(a, b))
  const sizes = new Map<string, number>()
  let added = 0
  for (const replicaSet of sorted) {
    const share = proportion(deployment, replicaSet, toAdd, added)
    added += share
    sizes.set(replicaSet.metadata.name, sizeOf(replicaSet) + share)
  }
  const [largest] = sorted
  if (largest !== undefined) {
    const { name } = largest.metadata
    sizes.set(name, Math.max(0, (sizes.get(name) ?? 0) + toAdd - added))
  }
  return sizes
}

function proportion(deployment: Deployment, replicaSet: ReplicaSet, toAdd: number, added: number): number {
  if (toAdd === 0 || toAdd === added) return 0
  const allowed = toAdd - added
  const fair = fairShare(deployment, replicaSet)
  return toAdd > 0 ? Math.min(fair, allowed) : Math.max(fair, allowed)
}

/** What a ReplicaSet would gain or lose if it kept its share of the Deployment's former maximum. */
function fairShare(deployment: Deployment, replicaSet: ReplicaSet): number {
  const { replicas, maxSurge } = boundsOf(deployment)
  const size = sizeOf(replicaSet)
  if (replicas === 0) return -size
  const before = annotatedNumber(replicaSet, MAX_REPLICAS) ?? deployment.status?.replicas ?? 0
  return before === 0 ? 0 : Math.round((size * (replicas + maxSurge)) / before) - size
}
