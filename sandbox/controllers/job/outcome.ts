import type { Condition, Job, Pod } from '../objects.ts'
import { conditionOf, isActive, isDeleting, isReady, isTerminal, restartsOf } from '../pod-state.ts'
import { millisOf, timestamp } from '../timestamps.ts'

const DEFAULT_BACKOFF_LIMIT = 6

/** How a Job ends, or is about to. */
export interface Outcome {
  readonly type: 'Complete' | 'Failed'
  readonly reason: string
  readonly message: string
}

export function isFinished(job: Job): boolean {
  return finishedAt(job) !== undefined
}

/** When the Job completed or failed, in milliseconds; undefined while it runs. */
export function finishedAt(job: Job): number | undefined {
  const done = (job.status?.conditions ?? []).find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  )
  return millisOf(done?.lastTransitionTime)
}

/** The counts of a Job's pods, finished ones included that are not yet in the Job's status. */
export interface Tally {
  readonly active: readonly Pod[]
  readonly ready: number
  /** On their way out and still running. */
  readonly terminating: number
  readonly succeeded: number
  readonly failed: number
}

/**
 * The outcome that the counts amount to; undefined while the Job goes on. An outcome that was announced before
 * (SuccessCriteriaMet, FailureTarget) stands, whatever happens to the pods since.
 */
export function outcomeOf(job: Job, pods: readonly Pod[], tally: Tally, nowMs: number): Outcome | undefined {
  return announced(job) ?? failure(job, pods, tally, nowMs) ?? success(job, tally)
}

function announced(job: Job): Outcome | undefined {
  const target = (job.status?.conditions ?? []).find(
    ({ type, status }) => (type === 'FailureTarget' || type === 'SuccessCriteriaMet') && status === 'True',
  )
  if (target === undefined) return undefined
  const { type, reason = '', message = '' } = target
  return { type: type === 'FailureTarget' ? 'Failed' : 'Complete', reason, message }
}

function failure(job: Job, pods: readonly Pod[], tally: Tally, nowMs: number): Outcome | undefined {
  const limit = job.spec.backoffLimit ?? DEFAULT_BACKOFF_LIMIT
  if (tally.failed > limit || restartsBeyond(job, pods, limit)) {
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }
  }
  const deadline = deadlineAt(job)
  if (deadline !== undefined && nowMs >= deadline && job.spec.suspend !== true) {
    return { type: 'Failed', reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' }
  }
  return undefined
}

/** With restartPolicy OnFailure a container's restarts are the retries. */
function restartsBeyond(job: Job, pods: readonly Pod[], limit: number): boolean {
  if (job.spec.template.spec.restartPolicy !== 'OnFailure') return false
  const running = pods.filter((pod) => !isTerminal(pod))
  const restarts = running.reduce((sum, pod) => sum + restartsOf(pod), 0)
  return limit === 0 ? restarts > 0 : restarts >= limit
}

/** When activeDeadlineSeconds passes; undefined for a Job without one, or one that has not started. */
export function deadlineAt(job: Job): number | undefined {
  const started = millisOf(job.status?.startTime)
  const seconds = job.spec.activeDeadlineSeconds
  return started === undefined || seconds === undefined ? undefined : started + seconds * 1000
}

function success(job: Job, tally: Tally): Outcome | undefined {
  const { completions } = job.spec
  const enough =
    completions === undefined ? tally.succeeded > 0 && tally.active.length === 0 : tally.succeeded >= completions
  if (!enough) return undefined
  return { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
}

/** A pod that was deleted before it finished counts as failed, unless the Job waits until it really has. */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true
  return !waitsForTermination(job) && isDeleting(pod) && pod.status?.phase !== 'Succeeded'
}

export function waitsForTermination(job: Job): boolean {
  return job.spec.podReplacementPolicy === 'Failed'
}

export function tallyOf(pods: readonly Pod[], counted: { succeeded: number; failed: number }): Tally {
  const active = pods.filter(isActive)
  return {
    active,
    ready: active.filter(isReady).length,
    terminating: pods.filter((pod) => isDeleting(pod) && !isTerminal(pod)).length,
    ...counted,
  }
}

/** The conditions on the way to an outcome: first announced, then, once no pod runs any more and all are counted, final. */
export function withOutcome(
  conditions: readonly Condition[],
  outcome: Outcome | undefined,
  settled: boolean,
  nowMs: number,
): Condition[] {
  if (outcome === undefined) return [...conditions]
  const { type, reason, message } = outcome
  const target = type === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet'
  const wanted = settled ? [target, type] : [target]
  const missing = wanted.filter((one) => conditionOf(conditions, one)?.status !== 'True')
  const now = timestamp(nowMs)
  const added = missing.map((one): Condition => ({
    type: one,
    status: 'True',
    reason,
    message,
    lastProbeTime: now,
    lastTransitionTime: now,
  }))
  return [...conditions.filter((condition) => !missing.includes(condition.type)), ...added]
}

/** Suspended, as spec.suspend says; a Job that was never suspended does not carry the condition. */
export function withSuspension(job: Job, conditions: readonly Condition[], nowMs: number): Condition[] {
  const suspended = job.spec.suspend === true
  const current = conditionOf(conditions, 'Suspended')
  if ((current?.status === 'True') === suspended) return [...conditions]
  const now = timestamp(nowMs)
  const condition: Condition = {
    type: 'Suspended',
    status: suspended ? 'True' : 'False',
    reason: suspended ? 'JobSuspended' : 'JobResumed',
    message: suspended ? 'Job suspended' : 'Job resumed',
    lastProbeTime: now,
    lastTransitionTime: now,
  }
  return [...conditions.filter(({ type }) => type !== 'Suspended'), condition]
}
