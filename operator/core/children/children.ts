import { candidateOf, liveRevisions, type Retiring, type State } from '../state.ts'
import { fixedReplicas } from '../policy.ts'
import { workloadOf, type Observation, type PodSeen, type ResolveSeen } from '../observation.ts'
import { revisionName, type RevisionName } from '../revision.ts'
import type { Instant } from '../instant.ts'
import { nudgeValue, podsBehind, unacknowledged } from '../rollout/acknowledgement.ts'
import { lingeringPeers, schemeSeen } from '../rollout/peers.ts'
import { fullSize, sourceInStatus } from '../rollout/situation.ts'
import type { KubeObject } from './object.ts'
import { resolveJob, resolveJobName } from './resolve-job.ts'
import { controllerRevision } from './revision-record.ts'
import { trafficConfigMap } from './traffic.ts'
import { autoscaler, canaryService, deployment, disruptionBudget, revisionService, stableService } from './workload.ts'

/** A resolve that failed for a reason that may pass is tried again after this long. */
export const RESOLVE_RETRY_MS = 15_000

/**
 * One object that a ModelDeployment ought to have. What it owns beyond these is deleted.
 * `apply`: made so, wherever it differs. `create`: made when it is absent, and left alone afterwards. `keep`: left as it is, a
 * Deployment but for its size. `scale`: a Deployment; created with `initialReplicas`, and brought to `replicas` through /scale unless an HPA does that.
 */
export type Child =
  | { readonly want: 'apply' | 'create'; readonly object: KubeObject }
  | { readonly want: 'keep'; readonly kind: string; readonly name: string; readonly replicas?: number }
  | {
      readonly want: 'scale'
      readonly object: KubeObject
      readonly initialReplicas: number
      readonly replicas?: number
    }

/** An annotation on a pod that makes its kubelet look at the ConfigMap at once. */
export interface Nudge {
  readonly pod: string
  readonly value: string
}

export interface ChildrenSettings {
  /** The server image for revisions that name none. */
  readonly defaultImage: string
}

/** Every object that this state asks for, in the order in which they are made. */
export function childrenOf(state: State, seen: Observation, settings: ChildrenSettings, now: Instant): Child[] {
  const owner = seen.resource
  const candidate = candidateOf(state.rollout)
  const previewed = candidate ?? state.stable
  const serving = [state.stable, candidate].filter((each) => each !== undefined)
  return [
    ...recordChildren(state, seen, settings, now),
    { want: 'apply', object: trafficConfigMap(owner, state) },
    ...serving.flatMap((revision) => servingChildren(revision, state, seen)),
    ...state.retiring
      .filter((old) => !serving.includes(old.revision))
      .flatMap((old) => retiringChildren(old, state, seen)),
    ...lingeringPeers(state).map((name): Child => ({ want: 'keep', kind: 'Service', name })),
    { want: 'apply', object: stableService(owner, state.stable, schemeSeen(state.stable, state, seen)) },
    { want: 'apply', object: canaryService(owner, previewed, schemeSeen(previewed, state, seen)) },
  ]
}

/** Nudges for pods that have not taken up the plan; none for a pod that was nudged with this value already. */
export function nudgesOf(state: State, seen: Observation, now: Instant): Nudge[] {
  const { rollout } = state
  const isAwaited =
    rollout.phase === 'RollingBack' || (rollout.phase === 'Shifting' && rollout.acknowledgedAt === undefined)
  const waiting = isAwaited ? unacknowledged(state, seen, rollout.since) : lateAfterSwitch(state, seen)
  const value = nudgeValue(state.plan.id, isAwaited ? rollout.since : 0, now)
  return waiting.filter((pod) => pod.nudge !== value).map((pod) => ({ pod: pod.name, value }))
}

/**
 * After a switch the replaced revision must learn that it was replaced, or it answers users with the old model; and a revision
 * that was replaced once and serves again (an undo) must learn that it no longer relays everything. So must a pod that missed the
 * end of a rollback.
 */
function lateAfterSwitch(state: State, seen: Observation): readonly PodSeen[] {
  if (state.retiring.length === 0 && lingeringPeers(state).length === 0) return []
  return podsBehind(state, seen).filter((pod) => pod.evidence !== undefined)
}

/**
 * Records of revisions that run or could be gone back to, and the resolve Job of one that has no record. A record that cannot be
 * read is kept too, as a newer release may have written it; only a candidate's is made anew.
 */
function recordChildren(state: State, seen: Observation, settings: ChildrenSettings, now: Instant): Child[] {
  const candidate = candidateOf(state.rollout)
  const missing = recordToMake(state, seen)
  const kept = new Set([
    ...liveRevisions(state),
    ...(state.override === undefined ? [] : [state.override.revision]),
    ...state.history.filter((entry) => entry.outcome === 'Promoted').map((entry) => entry.revision),
  ])
  const records = [...kept]
    .filter((revision) => revision !== candidate || seen.records.has(revision))
    .map((name): Child => ({ want: 'keep', kind: 'ControllerRevision', name }))
  return missing === undefined ? records : [...records, ...resolveChildren(missing, seen, settings, now)]
}

/**
 * The candidate's record while it is being prepared. Stable's, if somebody deleted it together with its Deployment while spec still
 * says how to make it; a Deployment that stands goes on as it is, as nothing rendered anew may reach users without a rollout.
 */
function recordToMake(state: State, seen: Observation): RevisionName | undefined {
  const candidate = candidateOf(state.rollout)
  if (candidate !== undefined && state.rollout.phase === 'Preparing' && !seen.records.has(candidate)) return candidate
  const { stable } = state
  const { metadata, spec } = seen.resource
  if (stable === undefined || seen.records.has(stable) || workloadOf(seen, stable).desiredReplicas !== undefined)
    return undefined
  return revisionName(metadata.name, spec) === stable ? stable : undefined
}

function resolveChildren(revision: RevisionName, seen: Observation, settings: ChildrenSettings, now: Instant): Child[] {
  const owner = seen.resource
  const resolve = seen.resolves.get(revision)
  const job: Child = {
    want: 'create',
    object: resolveJob(owner, revision, settings.defaultImage, sourceInStatus(revision, seen)),
  }
  if (resolve?.state !== 'Finished') return [job]
  if (!resolve.result.ok)
    return isDueAgain(resolve, now) ? [] : [{ want: 'keep', kind: 'Job', name: resolveJobName(revision) }]
  const number = 1 + Math.max(0, ...[...seen.records.values()].map((record) => record.number))
  const record = controllerRevision({
    owner,
    revision,
    resolved: resolve.result,
    defaultImage: settings.defaultImage,
    number,
  })
  return [
    { want: 'create', object: record },
    { want: 'keep', kind: 'Job', name: resolveJobName(revision) },
  ]
}

/** The failed Job goes first and the next look makes a new one, so that two never run. */
export function isDueAgain(resolve: ResolveSeen & { state: 'Finished' }, now: Instant): boolean {
  return now - resolve.finishedAt >= RESOLVE_RETRY_MS
}

function servingChildren(revision: RevisionName, state: State, seen: Observation): Child[] {
  const owner = seen.resource
  return [
    workloadChild(revision, state, seen),
    { want: 'apply', object: revisionService(owner, revision, schemeSeen(revision, state, seen)) },
    { want: 'apply', object: disruptionBudget(owner, revision) },
    ...autoscalerChildren(revision, state, seen),
  ]
}

/** Law: a Deployment is never given up because its record cannot be read; it stays as it is, at the size that is asked for. */
function workloadChild(revision: RevisionName, state: State, seen: Observation): Child {
  const record = seen.records.get(revision)
  const size = fullSize(state, seen)
  const replicas = wantedReplicas(revision, state, seen)
  const scale = replicas === undefined ? {} : { replicas }
  if (record === undefined) return { want: 'keep', kind: 'Deployment', name: revision, ...scale }
  return { want: 'scale', object: deployment(seen.resource, record), initialReplicas: replicas ?? size, ...scale }
}

/**
 * Undefined where an HPA decides, and for stable when spec does not say: its capacity is never given up unasked. But an HPA leaves a
 * Deployment alone that somebody scaled to zero, so that one is woken.
 */
function wantedReplicas(revision: RevisionName, state: State, seen: Observation): number | undefined {
  const { spec } = seen.resource
  const size = fullSize(state, seen)
  const isStable = revision === state.stable
  const wanted = isStable || spec.autoscaling !== undefined ? fixedReplicas(spec) : size
  if (wanted !== undefined) return wanted
  return workloadOf(seen, revision).desiredReplicas === 0 ? size : undefined
}

/**
 * Stable keeps its capacity while anything is under way: during a rollout, and after one until the replaced revisions are gone,
 * as they relay their clients to it.
 */
function autoscalerChildren(revision: RevisionName, state: State, seen: Observation): Child[] {
  const owner = seen.resource
  if (owner.spec.autoscaling === undefined) return []
  const isStable = revision === state.stable
  const keepCapacity = isStable && (state.rollout.phase !== 'Idle' || state.retiring.length > 0)
  const atLeast = isStable ? 1 : fullSize(state, seen)
  return [{ want: 'apply', object: autoscaler({ owner, revision, atLeast, keepCapacity }) }]
}

/** A replaced revision keeps the size it has; its HPA goes, so that nothing shrinks it while clients still reach it. */
function retiringChildren({ revision }: Retiring, state: State, seen: Observation): Child[] {
  return [
    { want: 'keep', kind: 'Deployment', name: revision },
    { want: 'apply', object: revisionService(seen.resource, revision, schemeSeen(revision, state, seen)) },
    { want: 'apply', object: disruptionBudget(seen.resource, revision) },
  ]
}
