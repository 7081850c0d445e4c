import type { Observation, PodSeen, Workload } from '../observation.ts'
import { workloadOf } from '../observation.ts'
import type { Instant } from '../instant.ts'
import type { RevisionName } from '../revision.ts'
import type { ActiveRollout } from '../state.ts'

/** Answer of the health gate: fit for traffic, not yet (and what is missing), or broken (and how). */
export type Health =
  | { readonly state: 'Healthy' }
  | { readonly state: 'Waiting'; readonly message: string }
  | { readonly state: 'Broken'; readonly message: string }

/** One thing that a candidate must have; `undefined` says that it has it. */
type Check = (candidate: Candidate) => Exclude<Health, { state: 'Healthy' }> | undefined

interface Candidate {
  readonly revision: RevisionName
  readonly workload: Workload
  readonly wantedPods: number
  /** Restarts before this moment are another rollout's: an old revision may be asked for again. */
  readonly since: Instant
  /** Digest that every pod must have loaded. */
  readonly sha256: string | undefined
}

const waiting = (message: string) => ({ state: 'Waiting', message }) as const
const broken = (message: string) => ({ state: 'Broken', message }) as const

const nothingRestarted: Check = ({ workload, since }) => {
  const pod = workload.pods.find((each) => each.restarts > 0 && (each.restartedAt ?? Infinity) >= since)
  return (
    pod && broken(`pod ${pod.name} restarted ${pod.restarts} ${pod.restarts === 1 ? 'time' : 'times'}${because(pod)}`)
  )
}

const everyDigestMatches: Check = ({ workload, sha256 }) => {
  const pod = workload.pods.find((each) => each.evidence?.ready === true && each.evidence.sha256 !== sha256)
  return (
    pod &&
    broken(
      `pod ${pod.name} loaded a model with digest ${pod.evidence?.sha256 ?? 'unknown'}, but ${sha256 ?? 'none'} was resolved`,
    )
  )
}

const deploymentStands: Check = ({ workload, revision }) =>
  workload.desiredReplicas === undefined ? waiting(`Deployment ${revision} is being created`) : undefined

const serviceHasAnAddress: Check = ({ workload, revision }) =>
  workload.clusterIP === undefined ? waiting(`Service ${revision} has no address yet`) : undefined

const enoughPodsAreReady: Check = ({ workload, wantedPods }) => {
  const ready = workload.pods.filter((pod) => pod.ready).length
  const needed = Math.max(wantedPods, workload.desiredReplicas ?? 0)
  if (ready >= needed) return undefined
  const blocked = workload.pods.find((pod) => !pod.ready && pod.problem !== undefined)
  const obstacle = blocked ? `pod ${blocked.name}: ${blocked.problem ?? ''}` : workload.problem
  return waiting(`${ready} of ${needed} pods are ready${obstacle === undefined ? '' : `; ${obstacle}`}`)
}

const everyPodShowsItsDigest: Check = ({ workload }) => {
  const silent = workload.pods.find((pod) => pod.ready && pod.evidence === undefined)
  return silent && waiting(`pod ${silent.name} is ready but has not told which model it loaded`)
}

/** In this order: what is broken is said before what is merely missing. */
const checks: readonly Check[] = [
  nothingRestarted,
  everyDigestMatches,
  deploymentStands,
  serviceHasAnAddress,
  enoughPodsAreReady,
  everyPodShowsItsDigest,
]

/** Asks the health gate about the candidate of a rollout, which must have `wantedPods` pods. */
export function candidateHealth(
  seen: Observation,
  rollout: Pick<ActiveRollout, 'candidate' | 'startedAt'>,
  wantedPods: number,
): Health {
  const revision = rollout.candidate
  const candidate = {
    revision,
    workload: workloadOf(seen, revision),
    wantedPods,
    since: Math.floor(rollout.startedAt / 1000) * 1000, // Kubernetes' times have whole seconds.
    sha256: seen.records.get(revision)?.sha256,
  }
  for (const check of checks) {
    const violation = check(candidate)
    if (violation !== undefined) return violation
  }
  return { state: 'Healthy' }
}

function because(pod: PodSeen): string {
  return pod.problem === undefined ? '' : `: ${pod.problem}`
}
