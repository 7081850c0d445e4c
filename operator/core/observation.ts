import type { Evidence } from '../../protocol/evidence.ts'
import type { ResolveResult } from '../../protocol/resolve.ts'
import type { ModelDeployment } from '../api/resource.ts'
import type { DepartedTotals, Samples } from './gates/samples.ts'
import type { RevisionRecord } from './children/revision-record.ts'
import type { WrittenPlan } from './children/traffic.ts'
import { schemeOf, type RevisionName, type Scheme } from './revision.ts'
import type { Instant } from './instant.ts'

/**
 * Everything that one reconcile may know, read once and never changed afterwards. What could not be read is absent, and absent
 * is never good news: a pod without evidence has not acknowledged anything and has answered nothing.
 */
export interface Observation {
  readonly resource: ModelDeployment
  /** Frozen revisions, from their ControllerRevisions. */
  readonly records: ReadonlyMap<RevisionName, RevisionRecord>
  /** What runs, by revision. */
  readonly workloads: ReadonlyMap<RevisionName, Workload>
  /** State of resolve Jobs, by revision. */
  readonly resolves: ReadonlyMap<RevisionName, ResolveSeen>
  /** What the requests under the plan in force came to; absent while no candidate has a share. */
  readonly traffic?: TrafficSeen
  /** What the plan's ConfigMap tells the pods; absent when there is none of ours that can be read. */
  readonly written?: WrittenPlan
  /** The revision that the users' Service selects now; absent when there is no such Service of ours, or nothing behind it. */
  readonly selected?: RevisionName
  /** Names of the pods that the users' Service sends requests to, from its EndpointSlices. */
  readonly reached: ReadonlySet<string>
  /** What went wrong when the children were last applied; empty when nothing did. */
  readonly applyProblems: readonly ApplyProblem[]
}

export interface TrafficSeen {
  readonly planId: number
  readonly samples: Samples
  /** Last counters of pods that vanished under this plan, to be kept in status. */
  readonly departed?: DepartedTotals
}

export interface Workload {
  /** spec.replicas of its Deployment; undefined when there is no Deployment. */
  readonly desiredReplicas?: number
  /** Pods that are not terminating. */
  readonly pods: readonly PodSeen[]
  /** ClusterIP of its own Service, once it has one. */
  readonly clusterIP?: string
  /** Why it cannot have its pods, as its Deployment says: `FailedCreate: ... exceeded quota ...`. */
  readonly problem?: string
  /** What its Deployment says that its pods speak, or else what its Service says; absent when there is neither. */
  readonly scheme?: Scheme
}

export interface PodSeen {
  readonly name: string
  readonly uid: string
  readonly ready: boolean
  /** When it last became ready, or stopped being ready. */
  readonly readyChangedAt: Instant
  /** Restarts of its containers, init containers not counted. */
  readonly restarts: number
  /** When a container last restarted. */
  readonly restartedAt?: Instant
  /** What stands in its way, as the kubelet says it: `CrashLoopBackOff: back-off ...`; absent when nothing does. */
  readonly problem?: string
  /** What it said of itself when asked; absent when it was not asked or did not answer. */
  readonly evidence?: Evidence
  /** Value of the nudge annotation. */
  readonly nudge?: string
}

export type ResolveSeen =
  | { readonly state: 'Running'; readonly problem?: string }
  | { readonly state: 'Finished'; readonly result: ResolveResult; readonly finishedAt: Instant }

export interface ApplyProblem {
  /** `Deployment fraud-1a2b3c4d5e`. */
  readonly object: string
  readonly message: string
  /**
   * `Invalid`: the API server will never take it as it is. `Refused`: only a person can help, as the object belongs to somebody else, or
   * a right, a quota or a policy forbids it. `Passing`: may be better the next time.
   */
  readonly kind: 'Invalid' | 'Refused' | 'Passing'
}

const NO_WORKLOAD: Workload = { pods: [] }

export function workloadOf(seen: Observation, revision: RevisionName | undefined): Workload {
  return (revision === undefined ? undefined : seen.workloads.get(revision)) ?? NO_WORKLOAD
}

/** What a revision speaks: by its record; when that is gone, by what runs. Undefined when neither is there to tell. */
export function knownScheme(revision: RevisionName, seen: Observation): Scheme | undefined {
  const record = seen.records.get(revision)
  return record === undefined ? workloadOf(seen, revision).scheme : schemeOf(record.source)
}

export function readyPods(workload: Workload): readonly PodSeen[] {
  return workload.pods.filter((pod) => pod.ready)
}
