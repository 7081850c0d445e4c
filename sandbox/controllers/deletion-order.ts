import type { Pod } from './objects.ts'
import { isReady, readySince, restartsOf } from './pod-state.ts'
import { millisOf } from './timestamps.ts'

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'
const PHASE_ORDER: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }
const NANOSECONDS_A_MILLISECOND = 1e6

/**
 * Which of a workload's pods to delete first when it scales down: those that do the least work and are the cheapest to replace.
 *
 * The order is the ReplicaSet controller's: unassigned, pending, not ready, low deletion cost, crowded onto a node with siblings
 * (`neighbours`: pods of the same workload by node), ready for a shorter time, restarted more often, created later. The two
 * ages count in powers of two (KEP-2185), so that pods of about the same age are chosen by uid and not always the newest.
 */
export function inDeletionOrder(pods: readonly Pod[], neighbours: ReadonlyMap<string, number>, nowMs: number): Pod[] {
  const criteria: ((a: Pod, b: Pod) => number)[] = [
    (a, b) => Number(isAssigned(a)) - Number(isAssigned(b)),
    (a, b) => phaseRank(a) - phaseRank(b),
    (a, b) => Number(isReady(a)) - Number(isReady(b)),
    (a, b) => deletionCost(a) - deletionCost(b),
    (a, b) => crowd(b, neighbours) - crowd(a, neighbours),
    (a, b) => byAge(readySince(a), readySince(b), { a, b, nowMs }),
    (a, b) => restartsOf(b) - restartsOf(a),
    (a, b) => byAge(millisOf(a.metadata.creationTimestamp), millisOf(b.metadata.creationTimestamp), { a, b, nowMs }),
  ]
  return [...pods].sort((a, b) => {
    for (const criterion of criteria) {
      const order = criterion(a, b)
      if (order !== 0) return order
    }
    return 0
  })
}

/** Pods of one workload by node; the ones that have no node count together. */
export function countByNode(pods: readonly Pod[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const pod of pods) counts.set(nodeOf(pod), (counts.get(nodeOf(pod)) ?? 0) + 1)
  return counts
}

function nodeOf(pod: Pod): string {
  return pod.spec.nodeName ?? ''
}

function isAssigned(pod: Pod): boolean {
  return nodeOf(pod) !== ''
}

function phaseRank(pod: Pod): number {
  return PHASE_ORDER[pod.status?.phase ?? 'Pending'] ?? 1
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[DELETION_COST]
  if (text === undefined || !/^(0|-?[1-9]\d*)$/.test(text)) return 0
  return Number(text)
}

function crowd(pod: Pod, neighbours: ReadonlyMap<string, number>): number {
  return neighbours.get(nodeOf(pod)) ?? 0
}

/** Negative when the first is younger by at least a power of two; equal ages are no difference. */
function byAge(from: number | undefined, to: number | undefined, pair: { a: Pod; b: Pod; nowMs: number }): number {
  if (from === to) return 0
  if (from === undefined) return -1
  if (to === undefined) return 1
  const order = ageRank(pair.nowMs - from) - ageRank(pair.nowMs - to)
  if (order !== 0) return order
  return pair.a.metadata.uid < pair.b.metadata.uid ? -1 : 1
}

function ageRank(ageMs: number): number {
  return ageMs > 0 ? Math.floor(Math.log2(ageMs * NANOSECONDS_A_MILLISECOND)) : -1
}
