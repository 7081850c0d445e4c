import type { ModelDeploymentStatus } from '../api/resource.ts'
import { announcementsOf, conditionAnnouncements, type Announcement } from './announcements.ts'
import {
  RESOLVE_RETRY_MS,
  childrenOf,
  nudgesOf,
  type Child,
  type ChildrenSettings,
  type Nudge,
} from './children/children.ts'
import { revisionSelector } from './children/object.ts'
import { templateProblems } from './children/template-problems.ts'
import { conditionsOf, type Obstacles, type Outlook } from './conditions.ts'
import type { Instant } from './instant.ts'
import { readyPods, workloadOf, type Observation } from './observation.ts'
import { policyOf } from './policy.ts'
import { hashOf, revisionName, type RevisionName } from './revision.ts'
import { handleAction } from './rollout/actions.ts'
import { RETIRING_LOOK_INTERVAL_MS, advance, retire } from './rollout/advance.ts'
import { withoutCertificate } from './rollout/certificates.ts'
import { aboveForgottenPlan } from './rollout/forgotten-plan.ts'
import { lingeringPeers, withPeers } from './rollout/peers.ts'
import { rollBack, withinLimit } from './rollout/transitions.ts'
import { holdEndsAt } from './rollout/shifting.ts'
import { sourceInStatus, versionOf, type Situation } from './rollout/situation.ts'
import { specProblems } from './spec-problems.ts'
import { candidateOf, type State } from './state.ts'
import { decodeState, encodeState } from './status-codec.ts'

/**
 * The whole decision about one ModelDeployment. Pure: the same observation at the same moment gives the same plan, and a plan that
 * was carried out only in part is completed by the next one. Status is to be written before anything else is done.
 */
export interface Plan {
  readonly status: ModelDeploymentStatus
  readonly children: readonly Child[]
  readonly nudges: readonly Nudge[]
  readonly announcements: readonly Announcement[]
  /** Look again after this long even if nothing happens; absent when only an event can change anything. */
  readonly requeueAfterMs?: number
}

/** How often pods are asked for evidence while a candidate has, or is about to have, a share. */
const LOOK_INTERVAL_MS = 2000

export function plan(seen: Observation, settings: ChildrenSettings, now: Instant): Plan {
  const before = aboveForgottenPlan(withKnownStable(decodeState(seen.resource.status), seen), seen, now)
  const { state: decided, situation } = decide(before, seen, now)
  const state = { ...decided, history: withinLimit(decided.history, situation.policy.historyLimit) }
  const outlook = { state, situation, ...obstaclesOf(state, seen) }
  const requeueAfterMs = nextLook(outlook)
  const status = statusOf(outlook)
  return {
    status,
    children: childrenOf(state, seen, settings, now),
    nudges: nudgesOf(state, seen, now),
    announcements: [
      ...announcementsOf(before, decided, seen),
      ...conditionAnnouncements(seen.resource.status?.conditions, status.conditions ?? []),
    ],
    ...(requeueAfterMs !== undefined && { requeueAfterMs }),
  }
}

/** What keeps spec from being done: what a person has to mend, and what passes by itself. */
function obstaclesOf(state: State, seen: Observation): Obstacles {
  const { metadata, spec } = seen.resource
  const problems = [...specProblems(spec), ...templateProblems(spec)]
  const plain = withoutCertificate(revisionName(metadata.name, spec), spec, state, seen)
  if (plain === undefined) return { problems }
  const field = 'spec.server.tls.mode'
  const refuses = (role: string) =>
    `${field}: Mutual refuses what ${role} (${plain}) relays, as that has no certificate`
  return plain === state.stable
    ? { problems: [...problems, { field, message: `${refuses('stable')}; roll out mode: Simple first, then Mutual` }] }
    : { problems, waitsFor: `${refuses('a replaced revision')}; it goes on once that is gone` }
}

function decide(before: State, seen: Observation, now: Instant): { state: State; situation: Situation } {
  const current = withoutStaleOverride(before, seen)
  const situation = situationOf(current, seen, now)
  const acted = handleAction(current, situation)
  const after = acted === current ? situation : situationOf(acted, seen, now)
  const state = acted.rollout.phase === current.rollout.phase ? moved(acted, after) : acted
  return { state: withPeers(state, before.plan.id, after), situation: after }
}

/** An undo goes to a revision that is frozen, so what is wrong with spec meanwhile does not stand in its way. */
function moved(state: State, at: Situation): State {
  const { problems, waitsFor } = obstaclesOf(state, at.seen)
  const [problem] = problems
  const isOverridden = state.override !== undefined
  if (isOverridden || (problem === undefined && waitsFor === undefined)) return advance(state, at)
  return standStill(state, at, problem === undefined ? (waitsFor ?? '') : `spec became invalid: ${problem.message}`)
}

function situationOf(state: State, seen: Observation, now: Instant): Situation {
  const { metadata, spec } = seen.resource
  const desired: RevisionName = state.override?.revision ?? revisionName(metadata.name, spec)
  return { seen, policy: policyOf(seen.resource.spec), desired, generation: metadata.generation, now }
}

/** A spec that cannot be done starts nothing, and takes a candidate that it no longer describes out of the traffic; stable goes on. */
function standStill(state: State, at: Situation, message: string): State {
  const { rollout } = state
  if (rollout.phase === 'Idle') return retire(state, at)
  if (rollout.phase === 'RollingBack') return advance(state, at)
  return rollBack(state, rollout, { kind: 'Superseded', message }, at)
}

/**
 * Law: the Service moves only after status says so. So if status was lost, the Service still tells which revision was promoted,
 * and nothing is put in front of users without its gates.
 */
function withKnownStable(state: State, seen: Observation): State {
  const { selected } = seen
  if (state.stable !== undefined || selected === undefined) return state
  return workloadOf(seen, selected).desiredReplicas === undefined ? state : { ...state, stable: selected }
}

/** A spec that asks for another revision ends an undo; one that merely scales does not. */
function withoutStaleOverride(state: State, { resource }: Observation): State {
  const asked = revisionName(resource.metadata.name, resource.spec)
  if (state.override === undefined || state.override.specRevision === asked) return state
  const { override: _ended, ...rest } = state
  return rest
}

function statusOf(outlook: Outlook): ModelDeploymentStatus {
  const { state, situation } = outlook
  const { seen } = situation
  const candidate = candidateOf(state.rollout)
  const stable = state.stable
  return {
    observedGeneration: seen.resource.metadata.generation,
    replicas: workloadOf(seen, stable).pods.length,
    ...(stable !== undefined && { selector: selectorText(stable), stable: revisionStatus(stable, seen) }),
    ...(candidate !== undefined && { candidate: revisionStatus(candidate, seen) }),
    ...encodeState(state),
    conditions: conditionsOf(outlook),
  }
}

function selectorText(revision: RevisionName): string {
  return Object.entries(revisionSelector(revision))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

function revisionStatus(revision: RevisionName, seen: Observation): NonNullable<ModelDeploymentStatus['stable']> {
  const source = seen.records.get(revision) ?? sourceInStatus(revision, seen)
  const workload = workloadOf(seen, revision)
  const version = versionOf(revision, seen)
  return {
    revision,
    ...(version !== undefined && { version }),
    title: version ?? hashOf(revision, seen.resource.metadata.name),
    ...(source !== undefined && { uri: source.uri, sha256: source.sha256 }),
    ...(source?.dataSha256 !== undefined && { dataSha256: source.dataSha256 }),
    readyReplicas: readyPods(workload).length,
    ...(workload.desiredReplicas !== undefined && { desiredReplicas: workload.desiredReplicas }),
  }
}

function nextLook(outlook: Outlook): number | undefined {
  const { state, situation } = outlook
  const { rollout } = state
  const { now } = situation
  const waits: number[] = []
  if (rollout.phase !== 'Idle') waits.push(LOOK_INTERVAL_MS)
  if (rollout.phase === 'Idle' && candidateWanted(outlook)) waits.push(0)
  if (state.retiring.length > 0 || lingeringPeers(state).length > 0) waits.push(RETIRING_LOOK_INTERVAL_MS)
  if (rollout.phase === 'Shifting') {
    const endsAt = holdEndsAt(rollout)
    if (endsAt !== undefined && endsAt > now) waits.push(endsAt - now)
  }
  if (waitsForOthers(state, situation)) waits.push(RESOLVE_RETRY_MS)
  return waits.length === 0 ? undefined : Math.min(...waits)
}

/** What keeps records, children or pods from being there may end without a change to anything that is watched. */
function waitsForOthers({ stable }: State, { seen }: Situation): boolean {
  const { desiredReplicas, pods } = workloadOf(seen, stable)
  const isUnready = desiredReplicas !== 0 && pods.length > 0 && pods.every((pod) => !pod.ready)
  return isUnready || seen.applyProblems.length > 0 || (stable !== undefined && !seen.records.has(stable))
}

function candidateWanted({ state, situation: { desired }, problems, waitsFor }: Outlook): boolean {
  const mayStart = state.override !== undefined || (problems.length === 0 && waitsFor === undefined)
  return mayStart && desired !== state.stable && !state.rejected.some((rejection) => rejection.revision === desired)
}
