import type { Observation, PodSeen, Workload } from '../observation.ts'
import { readyPods, workloadOf } from '../observation.ts'
import type { Instant } from '../instant.ts'
import type { State } from '../state.ts'

/** The nudge is repeated this often with a new value: the kubelet may hear it before it hears of the new ConfigMap. */
const NUDGE_INTERVAL_MS = 5000
/** A pod that has not acknowledged a plan by then is named in a Stalled condition. */
export const ACKNOWLEDGE_DEADLINE_MS = 60_000
/** A rollback waits at most this long for stable's pods before it takes the candidate away; they fall back to themselves anyway. */
export const ROLLBACK_ACKNOWLEDGE_MS = 30_000

/**
 * Stable's pods that run an older plan than the one in force. Only pods that were ready when the plan was written count: one that
 * became ready later read the plan when it started, or acknowledges it in its own time.
 */
export function unacknowledged(state: State, seen: Observation, plannedAt: Instant): readonly PodSeen[] {
  return behind(state, workloadOf(seen, state.stable)).filter((pod) => pod.readyChangedAt <= plannedAt)
}

/** Pods that answer users, stable's and the replaced ones', and run an older plan than the one in force. */
export function podsBehind(state: State, seen: Observation): readonly PodSeen[] {
  const revisions = [state.stable, ...state.retiring.map((old) => old.revision)]
  return revisions.flatMap((revision) => behind(state, workloadOf(seen, revision)))
}

/** Law: a pod that does not say which plan it runs has not taken up this one. */
function behind({ plan }: State, workload: Workload): readonly PodSeen[] {
  return readyPods(workload).filter((pod) => (pod.evidence?.planId ?? -1) < plan.id)
}

/** Value of the nudge annotation at this moment: it changes with the plan, and every five seconds until the plan is acknowledged. */
export function nudgeValue(planId: number, plannedAt: Instant, now: Instant): string {
  return `${planId}.${Math.max(0, Math.floor((now - plannedAt) / NUDGE_INTERVAL_MS))}`
}
