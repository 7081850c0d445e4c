import { candidateOf, type Retiring, type State } from '../state.ts'
import { fixedReplicas } from '../policy.ts'
import { workloadOf, type Observation, type PodSeen, type ResolveSeen } from '../observation.ts'
import type { RevisionName } from '../revision.ts'
import type { Instant } from '../instant.ts'
import { nudgeValue, unacknowledged } from '../rollout/acknowledgement.ts'
import { fullSize } from '../rollout/situation.ts'
import type { KubeObject } from './object.ts'
import { resolveJob, resolveJobName } from './resolve-job.ts'
import { controllerRevision } from './revision-record.ts'
import { trafficConfigMap } from './traffic.ts'
import { autoscaler, canaryService, deployment, disruptionBudget, revisionService, stableService } from './workload.ts'

/** A resolve that failed for a reason that may pass is tried again after this long. */
export const RESOLVE_RETRY_MS = 15_000

/**
 * One object that a ModelDeployment ought to have. What it owns beyond these is deleted.
 * `apply`: made so, wherever it differs. `create`: made when it is absent, and left alone afterwards. `keep`: left as it is.
 * `scale`: a Deployment; created with `initialReplicas`, and brought to `replicas` through /scale unless an HPA does that.
 */
export type Child =
  | { readonly want: 'apply' | 'create'; readonly object: KubeObject }
  | { readonly want: 'keep'; readonly kind: string; readonly name: string }
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
  const serving = [state.stable, candidate].filter((each) => each !== undefined)
  return [
    ...recordChildren(state, seen, settings, now),
    { want: 'apply', object: trafficConfigMap(owner, state, seen) },
    ...serving.flatMap((revision) => servingChildren(revision, state, seen)),
    ...state.retiring.filter((old) => !serving.includes(old.revision)).flatMap((old) => retiringChildren(old, seen)),
    { want: 'apply', object: stableService(owner, state.stable) },
    { want: 'apply', object: canaryService(owner, candidate ?? state.stable) },
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
 * that was replaced once and serves again (an undo) must learn that it no longer relays everything.
 */
function lateAfterSwitch(state: State, seen: Observation): readonly PodSeen[] {
  if (state.retiring.length === 0) return []
  const revisions = [state.stable, ...state.retiring.map((old) => old.revision)]
  const pods = revisions.flatMap((revision) => workloadOf(seen, revision).pods)
  return pods.filter((pod) => pod.ready && pod.evidence !== undefined && pod.evidence.planId < state.plan.id)
}

/** Records of revisions that run or could be gone back to, and the resolve Job of one that has no record yet. */
function recordChildren(state: State, seen: Observation, settings: ChildrenSettings, now: Instant): Child[] {
  const candidate = candidateOf(state.rollout)
  const kept = new Set<RevisionName | undefined>([
    state.stable,
    candidate,
    state.override?.revision,
    ...state.retiring.map((old) => old.revision),
    ...state.history.filter((entry) => entry.outcome === 'Promoted').map((entry) => entry.revision),
  ])
  const records = [...seen.records.keys()]
    .filter((revision) => kept.has(revision))
    .map((name): Child => ({ want: 'keep', kind: 'ControllerRevision', name }))
  if (candidate === undefined || seen.records.has(candidate) || state.rollout.phase !== 'Preparing') return records
  return [...records, ...resolveChildren(candidate, seen, settings, now)]
}

function resolveChildren(
  candidate: RevisionName,
  seen: Observation,
  settings: ChildrenSettings,
  now: Instant,
): Child[] {
  const owner = seen.resource
  const resolve = seen.resolves.get(candidate)
  const job: Child = { want: 'create', object: resolveJob(owner, candidate, settings.defaultImage) }
  if (resolve?.state !== 'Finished') return [job]
  if (!resolve.result.ok)
    return isDueAgain(resolve, now) ? [] : [{ want: 'keep', kind: 'Job', name: resolveJobName(candidate) }]
  const number = 1 + Math.max(0, ...[...seen.records.values()].map((record) => record.number))
  const record = controllerRevision({
    owner,
    revision: candidate,
    resolved: resolve.result,
    defaultImage: settings.defaultImage,
    number,
  })
  return [
    { want: 'create', object: record },
    { want: 'keep', kind: 'Job', name: resolveJobName(candidate) },
  ]
}

/** The failed Job goes first and the next look makes a new one, so that two never run. */
export function isDueAgain(resolve: ResolveSeen & { state: 'Finished' }, now: Instant): boolean {
  return now - resolve.finishedAt >= RESOLVE_RETRY_MS
}

function servingChildren(revision: RevisionName, state: State, seen: Observation): Child[] {
  const owner = seen.resource
  const record = seen.records.get(revision)
  if (record === undefined) return []
  const isStable = revision === state.stable
  const size = fullSize(state, seen)
  const fixed = fixedReplicas(owner.spec)
  const replicas = fixed === undefined ? undefined : isStable ? fixed : size
  return [
    {
      want: 'scale',
      object: deployment(owner, record),
      initialReplicas: replicas ?? size,
      ...(replicas !== undefined && { replicas }),
    },
    { want: 'apply', object: revisionService(owner, revision) },
    { want: 'apply', object: disruptionBudget(owner, revision) },
    ...(owner.spec.autoscaling === undefined
      ? []
      : [
          {
            want: 'apply',
            object: autoscaler({
              owner,
              revision,
              atLeast: isStable ? 1 : size,
              keepCapacity: isStable && state.rollout.phase !== 'Idle',
            }),
          } as const,
        ]),
  ]
}

/** A replaced revision keeps the size it has; its HPA goes, so that nothing shrinks it while clients still reach it. */
function retiringChildren({ revision }: Retiring, seen: Observation): Child[] {
  return [
    { want: 'keep', kind: 'Deployment', name: revision },
    { want: 'apply', object: revisionService(seen.resource, revision) },
    { want: 'apply', object: disruptionBudget(seen.resource, revision) },
  ]
}
