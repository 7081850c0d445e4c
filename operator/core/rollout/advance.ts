import type { Instant } from '../instant.ts'
import { readyPods, workloadOf } from '../observation.ts'
import type { ActiveRollout, Preparing, Promoting, Retiring, RollingBack, State } from '../state.ts'
import { ROLLBACK_ACKNOWLEDGE_MS, unacknowledged } from './acknowledgement.ts'
import { candidateHealth } from './health.ts'
import { invalidTemplate } from './refusal.ts'
import { holdEndsAt, shifted } from './shifting.ts'
import { describeRevision, fullSize, isBroken, isScaledToZero, type Situation } from './situation.ts'
import { UNCOMPARED, mayGoUncompared } from './uncompared.ts'
import {
  begin,
  endRollback,
  promote,
  promotionReason,
  rollBack,
  toPromoting,
  toStep,
  waiving,
  withoutHold,
} from './transitions.ts'

/** Direct requests must have been flat for this long before a replaced revision is removed. */
const FLAT_MS = 30_000
/** A client that cannot be moved (it ignores `Connection: close`) keeps a replaced revision at most this much longer. */
const RETIRING_OVERTIME_MS = 600_000
/** How often replaced revisions are asked whether anybody still reaches them. */
export const RETIRING_LOOK_INTERVAL_MS = 5000

/**
 * Decides the next state of a ModelDeployment's rollout. Pure: everything it may know is in `at`. At most one phase changes in one
 * call, so that each change is in status before anything is done about it.
 */
export function advance(state: State, at: Situation): State {
  const current = retire(holdOrRelease(state, at), at)
  const { rollout } = current
  switch (rollout.phase) {
    case 'Idle':
      return startIfWanted(current, at)
    case 'Preparing':
      return interrupted(current, rollout, at) ?? prepared(current, rollout, at)
    case 'Shifting':
      return interrupted(current, rollout, at) ?? shifted(current, rollout, at)
    case 'Promoting':
      return interrupted(current, rollout, at) ?? promoted(current, rollout, at)
    case 'RollingBack':
      return rolledBack(current, rollout, at)
    default:
      return rollout satisfies never
  }
}

function startIfWanted(state: State, at: Situation): State {
  const wanted = at.desired !== state.stable && !state.rejected.some((rejection) => rejection.revision === at.desired)
  return wanted ? begin(state, at) : state
}

/** What ends a rollout from outside, whatever its phase: another spec, or no progress for too long. */
function interrupted(state: State, rollout: ActiveRollout, at: Situation): State | undefined {
  if (at.desired === state.stable) {
    return rollBack(
      state,
      rollout,
      { kind: 'Abort', message: `spec went back to ${describeRevision(at.desired, at.seen)}, which is stable` },
      at,
    )
  }
  if (at.desired !== rollout.candidate) {
    const wanted = describeRevision(at.desired, at.seen)
    const message = state.override === undefined ? `spec now asks for ${wanted}` : `an undo goes back to ${wanted}`
    return rollBack(state, rollout, { kind: 'Superseded', message }, at)
  }
  if (rollout.phase !== 'Preparing' && rollout.phase !== 'RollingBack' && !at.seen.records.has(rollout.candidate)) {
    const message = `ControllerRevision ${rollout.candidate} is gone; the revision is resolved anew`
    return rollBack(state, rollout, { kind: 'Superseded', message }, at)
  }
  if (state.held === undefined && at.now - lastProgress(rollout) > at.policy.progressDeadlineMs) {
    return rollBack(
      state,
      rollout,
      { kind: 'DeadlinePassed', message: `no progress within the progress deadline: ${lastObstacle(rollout, at)}` },
      at,
    )
  }
  return undefined
}

/** A hold is not a lack of progress, however long it is. */
function lastProgress(rollout: ActiveRollout): Instant {
  const holdEnd = rollout.phase === 'Shifting' ? holdEndsAt(rollout) : undefined
  return Math.max(rollout.progressedAt, holdEnd ?? 0)
}

function lastObstacle(rollout: ActiveRollout, at: Situation): string {
  const [refused] = at.seen.applyProblems
  if (refused !== undefined) return `${refused.object}: ${refused.message}`
  if (rollout.phase === 'Shifting') {
    const open = rollout.gates.find((gate) => gate.verdict === 'Inconclusive')
    return open === undefined ? 'the plan was not acknowledged' : open.message
  }
  const resolve = at.seen.resolves.get(rollout.candidate)
  if (!at.seen.records.has(rollout.candidate)) {
    const earlier = rollout.phase === 'Preparing' ? rollout.resolveFailure : undefined
    const problem = (resolve?.state === 'Running' ? resolve.problem : undefined) ?? earlier
    return `the model was not resolved${problem === undefined ? '' : ` (${problem})`}`
  }
  const health = candidateHealth(at.seen, rollout, 1)
  return health.state === 'Healthy' ? 'the candidate is not at full size' : health.message
}

function prepared(state: State, rollout: Preparing, at: Situation): State {
  const invalid = invalidTemplate(at.seen, rollout.candidate)
  if (invalid !== undefined) return rollBack(state, rollout, { kind: 'InvalidTemplate', message: invalid }, at)
  if (!at.seen.records.has(rollout.candidate)) return resolved(state, rollout, at)
  const health = candidateHealth(at.seen, rollout, fullSize(state, at.seen))
  if (health.state === 'Broken') return rollBack(state, rollout, { kind: 'Health', message: health.message }, at)
  if (health.state === 'Waiting' || state.held !== undefined) return state
  if (state.stable === undefined) return toPromoting(state, rollout, at)
  const waived = waivedBeforeSteps(state, rollout, at)
  if (waived !== undefined) return toPromoting(state, waiving(rollout, waived), at)
  return readyPods(workloadOf(at.seen, state.stable)).length > 0 ? toStep(state, rollout, 0, at) : state
}

/** Why a candidate needs no steps, if it needs none: an undo goes back to what was proven before. */
function waivedBeforeSteps(state: State, rollout: Preparing, at: Situation): string | undefined {
  if (state.override?.revision === rollout.candidate) return 'an undo went back to it'
  if (rollout.steps.length === 0) return 'there were no steps'
  const mayGo = mayGoUncompared(rollout.steps) && (isScaledToZero(state, at) || isBroken(state, at))
  return mayGo ? UNCOMPARED : undefined
}

/** The record itself is made by the children; here only a failure decides anything. */
function resolved(state: State, rollout: Preparing, at: Situation): State {
  const resolve = at.seen.resolves.get(rollout.candidate)
  if (resolve?.state !== 'Finished') return state
  const { resolveFailure: _before, ...rest } = rollout
  if (resolve.result.ok) return { ...state, rollout: rest }
  const { reason, message } = resolve.result
  const failure = `${reason}: ${message}`
  const passing = reason === 'Unreachable' || reason === 'Interrupted'
  if (passing) return { ...state, rollout: { ...rest, resolveFailure: failure } }
  return rollBack(state, rollout, { kind: 'Resolve', message: failure }, at)
}

/** Law: the Service moves only to a candidate that is ready at stable's present size. */
function promoted(state: State, rollout: Promoting, at: Situation): State {
  const health = candidateHealth(at.seen, rollout, fullSize(state, at.seen))
  if (health.state === 'Broken') return rollBack(state, rollout, { kind: 'Health', message: health.message }, at)
  if (health.state === 'Waiting' || state.held !== undefined) return state
  return promote(state, rollout, at, promotionReason(rollout, at))
}

function rolledBack(state: State, rollout: RollingBack, at: Situation): State {
  const overdue = at.now - rollout.since >= ROLLBACK_ACKNOWLEDGE_MS
  const waiting =
    readyPods(workloadOf(at.seen, state.stable)).length > 0 && unacknowledged(state, at.seen, rollout.since).length > 0
  return waiting && !overdue ? state : endRollback(state, rollout, at)
}

/** Takes up or drops the hold that spec.rollout.paused asks for. Time that somebody held does not count against the deadline. */
function holdOrRelease(state: State, at: Situation): State {
  const { rollout, held } = state
  if (rollout.phase === 'Idle' || rollout.phase === 'RollingBack')
    return held === undefined ? state : withoutHold(state)
  if (at.policy.paused && held === undefined) {
    return { ...state, held: { by: 'Spec', reason: 'spec.rollout.paused is true', since: at.now } }
  }
  if (!at.policy.paused && held?.by === 'Spec')
    return { ...withoutHold(state), rollout: { ...rollout, progressedAt: at.now } }
  return state
}

/**
 * Counts what still reaches replaced revisions, and lets those go that nothing reaches any more. The count matters only towards the end of a
 * revision's time, and is written no more often than it is looked at.
 */
export function retire(state: State, at: Situation): State {
  if (state.retiring.length === 0) return state
  const retiring = state.retiring.map((old) => recount(old, at)).filter((old) => !isSpent(old, at.now))
  return { ...state, retiring }
}

/** Law: what could not be read is not flat, and neither is a sum over other pods than before. */
function recount(old: Retiring, at: Situation): Retiring {
  if (at.now < old.until - FLAT_MS || at.now - old.flatSince < RETIRING_LOOK_INTERVAL_MS) return old
  const { pods } = workloadOf(at.seen, old.revision)
  const unread = pods.some((pod) => pod.ready && pod.evidence === undefined)
  const directRequests = pods.reduce((sum, pod) => sum + (pod.evidence?.directRequests ?? 0), 0)
  if (unread) return { ...old, flatSince: at.now }
  return directRequests === old.directRequests ? old : { ...old, directRequests, flatSince: at.now }
}

function isSpent(old: Retiring, now: Instant): boolean {
  return now >= old.until && (now - old.flatSince >= FLAT_MS || now >= old.until + RETIRING_OVERTIME_MS)
}
