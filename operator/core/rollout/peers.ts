import { knownScheme, workloadOf, type Observation } from '../observation.ts'
import { peerAddress, peerOf } from '../peer-address.ts'
import { canonicalJson, type RevisionName, type Scheme } from '../revision.ts'
import { liveRevisions, type Rollout, type State } from '../state.ts'
import { podsBehind } from './acknowledgement.ts'
import type { Situation } from './situation.ts'
import { nextPlanId, unacknowledgedYet } from './transitions.ts'

/** A pod that never hears of a plan must not make status grow. */
const MAX_LINGERING = 8

/**
 * Puts the addresses that the plan in force relays to into it. Law: one plan id means one set of addresses, as a pod ignores a
 * plan whose id it knows; so an address that changed under a plan makes a new plan.
 */
export function withPeers(state: State, previousPlanId: number, at: Situation): State {
  const { plan } = state
  const current = currentPeers(state, at.seen)
  const lingering = everyPodHeard(state, at.seen) ? [] : earlierPeers(state).slice(0, MAX_LINGERING)
  const peers = { ...pick(plan.peers, lingering), ...current }
  if (canonicalJson(peers) === canonicalJson(plan.peers)) return state
  const moved = Object.entries(current).some(([revision, address]) => plan.peers[revision] !== address)
  if (!moved || plan.id !== previousPlanId) return { ...state, plan: { ...plan, peers } }
  return { ...state, plan: { ...plan, peers, id: nextPlanId(state, at) }, rollout: anew(state.rollout, at) }
}

/** Addresses of earlier plans; in Idle those of live revisions are safe anyway, and pods are not asked. */
function earlierPeers(state: State): readonly RevisionName[] {
  return state.rollout.phase === 'Idle' ? lingeringPeers(state) : Object.keys(state.plan.peers)
}

/** Revisions that are gone and whose address pods may still relay to: their Services stay until nobody does. */
export function lingeringPeers(state: State): readonly RevisionName[] {
  const live = liveRevisions(state)
  return Object.keys(state.plan.peers).filter((revision) => !live.includes(revision))
}

function everyPodHeard(state: State, seen: Observation): boolean {
  return podsBehind(state, seen).length === 0
}

/** The candidate while it has a share, and stable while a replaced revision relays to it. A Service that is away keeps its address. */
function currentPeers(state: State, seen: Observation): Readonly<Record<RevisionName, string>> {
  const relayedTo = [state.plan.candidate, state.retiring.length > 0 ? state.stable : undefined]
  return Object.fromEntries(
    relayedTo.flatMap((revision) => {
      if (revision === undefined) return []
      const { clusterIP } = workloadOf(seen, revision)
      const address =
        clusterIP === undefined ? state.plan.peers[revision] : peerAddress(schemeSeen(revision, state, seen), clusterIP)
      return address === undefined ? [] : [[revision, address]]
    }),
  )
}

/** What a revision speaks; when nothing of it is there to tell, as it was when others were told of it. */
export function schemeSeen(revision: RevisionName | undefined, { plan }: State, seen: Observation): Scheme {
  if (revision === undefined) return 'http'
  return knownScheme(revision, seen) ?? peerOf(plan.peers[revision] ?? '').scheme
}

function anew(rollout: Rollout, at: Situation): Rollout {
  return rollout.phase === 'Shifting' ? { ...unacknowledgedYet(rollout, at), gates: [] } : rollout
}

function pick<T>(all: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key)))
}
