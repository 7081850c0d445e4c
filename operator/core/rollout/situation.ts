import type { Policy } from '../policy.ts'
import type { Observation } from '../observation.ts'
import { readyPods, workloadOf } from '../observation.ts'
import { revisionName, type RevisionName } from '../revision.ts'
import { parseInstant, type Instant } from '../instant.ts'
import { fixedReplicas } from '../policy.ts'
import type { State } from '../state.ts'

/** Everything a rollout decision may look at, besides the state it decides about. */
export interface Situation {
  readonly seen: Observation
  readonly policy: Policy
  /** The revision that spec (or an undo) asks for. */
  readonly desired: RevisionName
  /** Generation of spec. */
  readonly generation: number
  readonly now: Instant
}

/**
 * How many pods stable has, or ought to have: what its Deployment says, else what spec says. A candidate is brought to this size
 * before it gets traffic and before it is promoted; at least one, so that there is something to prove.
 */
export function fullSize(state: State, seen: Observation): number {
  const stable = workloadOf(seen, state.stable)
  const spec = seen.resource.spec
  const wanted = fixedReplicas(spec) ?? Math.max(stable.desiredReplicas ?? 0, spec.autoscaling?.minReplicas ?? 1)
  return Math.max(1, wanted)
}

/** A pod may be unready for a moment (a restart, a slow probe) without its revision being given up. */
const BROKEN_AFTER_MS = 15_000

/** True when nobody asks for pods of stable: it is not broken, and there is nobody to protect. */
export function isScaledToZero(state: State, { seen }: Pick<Situation, 'seen'>): boolean {
  return workloadOf(seen, state.stable).desiredReplicas === 0
}

/**
 * True when no pod of stable is ready and none was lately, though some are asked for: then there is nothing left to protect or to
 * compare with. Pods that do not exist tell no times; since when nobody answers is what the Available condition remembers.
 */
export function isBroken(state: State, { seen, now }: Pick<Situation, 'seen' | 'now'>): boolean {
  if (isScaledToZero(state, { seen })) return false
  const stable = workloadOf(seen, state.stable)
  if (readyPods(stable).length > 0) return false
  if (stable.pods.length > 0 && stable.pods.every((pod) => now - pod.readyChangedAt >= BROKEN_AFTER_MS)) return true
  const available = seen.resource.status?.conditions?.find((condition) => condition.type === 'Available')
  const since = available?.status === 'False' ? parseInstant(available.lastTransitionTime) : undefined
  return since !== undefined && now - since >= BROKEN_AFTER_MS
}

/** What people call a revision: spec's label when spec asks for it, else the one that was frozen with it. */
export function versionOf(revision: RevisionName, seen: Observation): string | undefined {
  const { metadata, spec } = seen.resource
  const labelled = revision === revisionName(metadata.name, spec) ? spec.model.version : undefined
  return labelled ?? seen.records.get(revision)?.version
}

/** What status remembers of stable's source, for the day its record is gone: what comes back must be the same model. */
export function sourceInStatus(revision: RevisionName, seen: Observation): SourceInStatus | undefined {
  const { uri, sha256, dataSha256, revision: known } = seen.resource.status?.stable ?? {}
  if (known !== revision || uri === undefined || sha256 === undefined) return undefined
  return { uri, sha256, ...(dataSha256 !== undefined && { dataSha256 }) }
}

export interface SourceInStatus {
  readonly uri: string
  readonly sha256: string
  readonly dataSha256?: string
}

/** `version 3 (fraud-6f7a8b9c0d)`, or just the revision where nobody named a version. */
export function describeRevision(revision: RevisionName, seen: Observation): string {
  const version = versionOf(revision, seen)
  return version === undefined ? revision : `version ${version} (${revision})`
}
