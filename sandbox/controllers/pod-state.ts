import type { Condition, Pod } from './objects.ts'
import { millisOf } from './timestamps.ts'

/** Succeeded or Failed: no container of it will run again. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

export function isDeleting(object: { metadata: { deletionTimestamp?: string } }): boolean {
  return object.metadata.deletionTimestamp !== undefined
}

/** Counts towards a workload's replicas: neither finished nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !isTerminal(pod) && !isDeleting(pod)
}

/** On its way out, and still running. */
export function isTerminating(pod: Pod): boolean {
  return !isTerminal(pod) && isDeleting(pod)
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod.status?.conditions, 'Ready')?.status === 'True'
}

/** Since when the pod is ready, in milliseconds; undefined when it is not. */
export function readySince(pod: Pod): number | undefined {
  const ready = conditionOf(pod.status?.conditions, 'Ready')
  return ready?.status === 'True' ? millisOf(ready.lastTransitionTime) : undefined
}

/** When the pod will have been ready for `minReadySeconds`; undefined while it is not ready. */
export function availableFrom(pod: Pod, minReadySeconds: number): number | undefined {
  if (!isReady(pod)) return undefined
  if (minReadySeconds === 0) return 0
  const since = readySince(pod)
  return since === undefined ? undefined : since + minReadySeconds * 1000
}

export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const from = availableFrom(pod, minReadySeconds)
  return from !== undefined && from <= nowMs
}

/** Restarts of all containers, sidecars included. */
export function restartsOf(pod: Pod): number {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
  return statuses.reduce((sum, status) => sum + (status.restartCount ?? 0), 0)
}
