import type { Instant } from '../instant.ts'
import type { Observation } from '../observation.ts'
import type { State } from '../state.ts'
import { unacknowledgedYet } from './transitions.ts'

/**
 * Law: what status says is what pods follow. Pods ignore a plan whose id is not greater than theirs, so a status that was taken away,
 * or set back by a restore, would leave them relaying as they were told before, to an address that is nobody's any more. The ConfigMap
 * and the pods themselves still tell how far they are: status's own plan is told anew, above that. Whom the forgotten one relayed to
 * is kept until every pod has heard.
 */
export function aboveForgottenPlan(state: State, seen: Observation, now: Instant): State {
  const { plan, rollout } = state
  const followed = highestPlanId(seen)
  if (followed <= plan.id) return state
  return {
    ...state,
    plan: {
      ...plan,
      ...(state.stable !== undefined && { stable: state.stable }),
      id: followed + 1,
      peers: { ...seen.written?.peers, ...plan.peers },
    },
    rollout: rollout.phase === 'Shifting' ? { ...unacknowledgedYet(rollout, { now }), gates: [] } : rollout,
  }
}

function highestPlanId({ written, workloads }: Observation): number {
  const pods = [...workloads.values()].flatMap((workload) => workload.pods)
  return Math.max(written?.id ?? 0, ...pods.map((pod) => pod.evidence?.planId ?? 0))
}
