import type { Job, JobStatus, Pod } from '../objects.ts'
import { withoutZeros } from '../counts.ts'
import { countByNode, inDeletionOrder } from '../deletion-order.ts'
import { conditionOf, isDeleting } from '../pod-state.ts'
import { earliest, millisOf, timestamp } from '../timestamps.ts'
import {
  deadlineAt,
  finishedAt,
  hasFailed,
  isFinished,
  outcomeOf,
  tallyOf,
  waitsForTermination,
  withOutcome,
  withSuspension,
} from './outcome.ts'
import type { Outcome, Tally } from './outcome.ts'

export const JOB = { apiVersion: 'batch/v1', kind: 'Job' }
/** A Job's pod keeps this finalizer until the Job's status has counted how it ended. */
export const TRACKING_FINALIZER = 'batch.kubernetes.io/job-tracking'
const MAX_BACKOFF_MS = 600_000

export interface JobObservation {
  readonly job: Job
  /** The pods that it controls, whatever their state. */
  readonly pods: readonly Pod[]
}

export interface JobPlan {
  readonly create: number
  readonly remove: readonly Pod[]
  /** Pods whose end the status holds already: their finalizer may go. */
  readonly untrack: readonly Pod[]
  readonly status: JobStatus
  /** True when the Job finished and ttlSecondsAfterFinished has passed. */
  readonly expired: boolean
  readonly lookAgainAt?: number
}

/**
 * One movement of a Job. The finished pods are counted in two steps, so that none is lost or counted twice whatever crashes between:
 * their uids are written to `uncountedTerminatedPods`, then their finalizers are removed, and only then are they added to the counters.
 */
export function planJob({ job, pods }: JobObservation, backoffBaseMs: number, nowMs: number): JobPlan {
  const ledger = countPods(job, pods)
  if (isFinished(job)) return finishedPlan(job, pods, nowMs)
  const tally = tallyOf(pods, { succeeded: ledger.succeeded, failed: ledger.failed })
  const outcome = isDeleting(job) ? undefined : outcomeOf(job, pods, tally, nowMs)
  const retryAt = backoffUntil(pods, job, backoffBaseMs)
  const waiting = retryAt !== undefined && retryAt > nowMs
  const change = isDeleting(job) ? { create: 0, remove: [] } : podChange(job, tally, outcome, nowMs)
  const status = nextStatus(job, { ledger, tally, outcome }, nowMs)
  const lookAgainAt = earliest(
    change.create > 0 && waiting ? retryAt : undefined,
    outcome === undefined ? deadlineAt(job) : undefined,
  )
  return {
    create: waiting ? 0 : change.create,
    remove: change.remove,
    untrack: ledger.untrack,
    status,
    expired: false,
    ...(lookAgainAt === undefined ? {} : { lookAgainAt }),
  }
}

function finishedPlan(job: Job, pods: readonly Pod[], nowMs: number): JobPlan {
  const ttl = job.spec.ttlSecondsAfterFinished
  const finished = finishedAt(job)
  const expiresAt = ttl === undefined || finished === undefined ? undefined : finished + ttl * 1000
  const untrack = pods.filter(isTracked)
  const base = { create: 0, remove: [], untrack, status: job.status ?? {} }
  if (expiresAt === undefined || isDeleting(job)) return { ...base, expired: false }
  return expiresAt <= nowMs ? { ...base, expired: true } : { ...base, expired: false, lookAgainAt: expiresAt }
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(TRACKING_FINALIZER) === true
}

interface Ledger {
  /** Finished pods in all, those on the way to the counters included. */
  readonly succeeded: number
  readonly failed: number
  readonly status: Pick<JobStatus, 'succeeded' | 'failed' | 'uncountedTerminatedPods'>
  readonly untrack: readonly Pod[]
  /** Every finished pod is in the counters. */
  readonly settled: boolean
}

function countPods(job: Job, pods: readonly Pod[]): Ledger {
  const tracked = new Map(pods.filter(isTracked).map((pod) => [pod.metadata.uid, pod]))
  const written = job.status?.uncountedTerminatedPods ?? {}
  const succeeded = countOne(written.succeeded ?? [], tracked, (pod) => pod.status?.phase === 'Succeeded')
  const failed = countOne(
    written.failed ?? [],
    tracked,
    (pod) => hasFailed(job, pod) && !(written.succeeded ?? []).includes(pod.metadata.uid),
  )
  const succeededCount = (job.status?.succeeded ?? 0) + succeeded.moved
  const failedCount = (job.status?.failed ?? 0) + failed.moved
  return {
    succeeded: succeededCount + succeeded.uncounted.length,
    failed: failedCount + failed.uncounted.length,
    status: {
      succeeded: succeededCount,
      failed: failedCount,
      uncountedTerminatedPods: {
        ...(succeeded.uncounted.length === 0 ? {} : { succeeded: succeeded.uncounted }),
        ...(failed.uncounted.length === 0 ? {} : { failed: failed.uncounted }),
      },
    },
    untrack: [...succeeded.untrack, ...failed.untrack],
    settled: succeeded.uncounted.length + failed.uncounted.length === 0,
  }
}

interface Counting {
  /** Uids that were written before and whose pods have no finalizer any more: into the counter. */
  readonly moved: number
  readonly uncounted: string[]
  readonly untrack: Pod[]
}

function countOne(
  written: readonly string[],
  tracked: ReadonlyMap<string, Pod>,
  finished: (pod: Pod) => boolean,
): Counting {
  const untrack = written.map((uid) => tracked.get(uid)).filter((pod) => pod !== undefined)
  const fresh = [...tracked.values()].filter((pod) => finished(pod) && !written.includes(pod.metadata.uid))
  const uncounted = [...untrack, ...fresh].map((pod) => pod.metadata.uid)
  return { moved: written.length - untrack.length, uncounted, untrack }
}

function podChange(
  job: Job,
  tally: Tally,
  outcome: Outcome | undefined,
  nowMs: number,
): { create: number; remove: readonly Pod[] } {
  if (outcome !== undefined || job.spec.suspend === true) return { create: 0, remove: tally.active }
  const wanted = wantedActive(job, tally)
  const surplus = tally.active.length - wanted
  if (surplus > 0) {
    const ordered = inDeletionOrder(tally.active, countByNode(tally.active), nowMs)
    return { create: 0, remove: ordered.slice(0, surplus) }
  }
  const leaving = waitsForTermination(job) ? tally.terminating : 0
  return { create: Math.max(0, -surplus - leaving), remove: [] }
}

function wantedActive(job: Job, tally: Tally): number {
  const { completions, parallelism = 1 } = job.spec
  if (completions === undefined) return tally.succeeded > 0 ? tally.active.length : parallelism
  return Math.max(0, Math.min(completions - tally.succeeded, parallelism))
}

/** When the next pod may be created: base, twice base, four times ... after the last failure, counted since the last success; 10 minutes at most. */
function backoffUntil(pods: readonly Pod[], job: Job, baseMs: number): number | undefined {
  const lastSuccess = Math.max(0, ...pods.filter((pod) => pod.status?.phase === 'Succeeded').map(endOf))
  const failures = pods
    .filter((pod) => hasFailed(job, pod))
    .map(endOf)
    .filter((end) => end >= lastSuccess)
  if (failures.length === 0) return undefined
  return Math.max(...failures) + Math.min(baseMs * 2 ** (failures.length - 1), MAX_BACKOFF_MS)
}

/** When a pod's last container ended; for one that never ran: when it was deleted or created. */
function endOf(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map((status) => millisOf(status.state?.terminated?.finishedAt))
  const ready = conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime
  const known = ends.filter((end) => end !== undefined)
  if (known.length > 0) return Math.max(...known)
  return millisOf(pod.metadata.deletionTimestamp) ?? millisOf(ready) ?? millisOf(pod.metadata.creationTimestamp) ?? 0
}

interface Account {
  readonly ledger: Ledger
  readonly tally: Tally
  readonly outcome: Outcome | undefined
}

function nextStatus(job: Job, { ledger, tally, outcome }: Account, nowMs: number): JobStatus {
  const { startTime: _start, completionTime: _completion, conditions: before = [], ...rest } = job.status ?? {}
  const nobodyRuns = tally.active.length === 0 && tally.terminating === 0
  const settled = outcome !== undefined && ledger.settled && nobodyRuns
  const startTime = startTimeOf(job, outcome, nowMs)
  const suspension = outcome === undefined ? withSuspension(job, before, nowMs) : before
  const conditions = withOutcome(suspension, outcome, settled, nowMs)
  const status: JobStatus = {
    ...rest,
    ...ledger.status,
    active: tally.active.length,
    ready: tally.ready,
    terminating: tally.terminating,
    ...(conditions.length === 0 ? {} : { conditions }),
    ...(startTime === undefined ? {} : { startTime }),
    ...(settled && outcome.type === 'Complete' ? { completionTime: timestamp(nowMs) } : {}),
  }
  return withoutZeros(status, ['ready', 'terminating'])
}

/** A suspended Job has no start; a resumed one starts anew. */
function startTimeOf(job: Job, outcome: Outcome | undefined, nowMs: number): string | undefined {
  if (outcome !== undefined) return job.status?.startTime
  return job.spec.suspend === true ? undefined : (job.status?.startTime ?? timestamp(nowMs))
}
