import type { GateReport } from '../gates/verdict.ts'
import type {
  ActiveRollout,
  Attempt,
  Because,
  HistoryEntry,
  Rejection,
  RollingBack,
  Shifting,
  State,
  TrafficPlan,
} from '../state.ts'
import { IDLE } from '../state.ts'
import type { RevisionName } from '../revision.ts'
import type { Situation } from './situation.ts'
import { describeRevision, versionOf } from './situation.ts'

/** The moves between phases. Each gives a whole new State, with the plan, the history and the memory that belong to the move. */

const MAX_REJECTED = 16
const MAX_RETIRING = 16

/**
 * Idle -> Preparing. A warm old revision that is asked for again goes on relaying what still reaches it directly until it is
 * promoted; if it is not, it stays as warm as it was.
 */
export function begin(state: State, at: Situation): State {
  return {
    ...state,
    rollout: {
      phase: 'Preparing',
      candidate: at.desired,
      startedAt: at.now,
      since: at.now,
      progressedAt: at.now,
      generation: at.generation,
      steps: at.policy.steps,
      gates: [],
    },
  }
}

/** -> Shifting at a step. Every step is a new plan, so its evidence starts at zero; only a step that leaves stable no requests keeps a baseline. */
export function toStep(state: State, rollout: ActiveRollout, step: number, at: Situation): State {
  const stableAnswers = at.seen.traffic?.samples.stable
  const baseline = rollout.steps[step]?.weight === 100 && stableAnswers !== undefined ? { baseline: stableAnswers } : {}
  const shifting: Shifting = {
    ...attemptOf(rollout),
    phase: 'Shifting',
    step,
    approved: false,
    since: at.now,
    progressedAt: at.now,
    gates: [],
    ...baseline,
  }
  return {
    ...withoutHold(state),
    rollout: shifting,
    plan: planFor(state, at, { candidate: rollout.candidate, percent: rollout.steps[step]?.weight ?? 0 }),
  }
}

/** -> Promoting. The plan stays as it is until the candidate is proven at full size. */
export function toPromoting(state: State, rollout: ActiveRollout, at: Situation): State {
  return {
    ...withoutHold(state),
    rollout: { ...attemptOf(rollout), phase: 'Promoting', since: at.now, progressedAt: at.now },
  }
}

/** The same rollout, which remembers in words that something was not asked of it. */
export function waiving<R extends ActiveRollout>(rollout: R, what: string): R {
  const before = rollout.waived === undefined ? [] : rollout.waived.split('; ')
  return { ...rollout, waived: [...new Set([...before, what])].join('; ') }
}

/** Promoting -> Idle: the candidate becomes stable, the old one retires and relays what still reaches it. */
export function promote(state: State, rollout: ActiveRollout, at: Situation, reason: string): State {
  const old =
    state.stable === undefined
      ? []
      : [{ revision: state.stable, until: at.now + at.policy.scaleDownDelayMs, directRequests: 0, flatSince: at.now }]
  const entry = historyEntry(rollout, at, { outcome: 'Promoted', reason })
  return {
    ...withoutHold(state),
    stable: rollout.candidate,
    rollout: IDLE,
    plan: { ...planFor(state, at), stable: rollout.candidate },
    retiring: [...old, ...state.retiring.filter((each) => each.revision !== rollout.candidate)].slice(0, MAX_RETIRING),
    rejected: state.rejected.filter((rejection) => rejection.revision !== rollout.candidate),
    history: [entry, ...state.history],
  }
}

/** -> RollingBack: the candidate's weight goes to zero; without traffic there is nothing to wait for and the rollout ends at once. */
export function rollBack(state: State, rollout: ActiveRollout, because: Because, at: Situation): State {
  const rollingBack: RollingBack = {
    ...attemptOf(rollout),
    phase: 'RollingBack',
    because,
    since: at.now,
    progressedAt: at.now,
    gates: rollout.gates,
  }
  const released = withoutHold(state)
  if (state.plan.candidate === undefined) return endRollback({ ...released, rollout: rollingBack }, rollingBack, at)
  return { ...released, rollout: rollingBack, plan: planFor(state, at) }
}

/** RollingBack -> Idle. What failed is remembered; what was merely given up is not. */
export function endRollback(state: State, rollout: RollingBack, at: Situation): State {
  const outcome = {
    Abort: 'Aborted',
    Superseded: 'Superseded',
    Gate: 'RolledBack',
    Health: 'RolledBack',
    Resolve: 'RolledBack',
    InvalidTemplate: 'RolledBack',
    DeadlinePassed: 'RolledBack',
  } as const
  const { because } = rollout
  const entry = historyEntry(rollout, at, { outcome: outcome[because.kind], reason: because.message })
  const rejected = outcome[because.kind] === 'RolledBack' ? reject(state.rejected, rollout, at) : state.rejected
  const { override, ...rest } = state
  const overrideFailed = override?.revision === rollout.candidate
  return {
    ...rest,
    ...(override !== undefined && !overrideFailed && { override }),
    rollout: IDLE,
    rejected,
    retiring: state.retiring.map((old) =>
      old.revision === rollout.candidate
        ? { ...old, until: at.now + at.policy.scaleDownDelayMs, flatSince: at.now }
        : old,
    ),
    history: [entry, ...state.history],
  }
}

/** The candidate's share to zero without ending the rollout: a person decides what happens next. */
export function pauseOnFailure(state: State, rollout: Shifting, gate: GateReport, at: Situation): State {
  return {
    ...state,
    rollout: unacknowledgedYet(rollout, at),
    plan: planFor(state, at),
    held: { by: 'GateFailure', reason: `gate ${gate.name} failed: ${gate.message}`, since: at.now },
  }
}

/** The same step under a new plan: nobody has acknowledged it, and its counters start at zero. */
export function unacknowledgedYet(rollout: Shifting, at: Pick<Situation, 'now'>): Shifting {
  const { acknowledgedAt: _ofTheOldPlan, judgedAt: _then, departed: _counted, ...rest } = rollout
  return { ...rest, since: at.now }
}

export function withoutHold(state: State): State {
  const { held: _released, ...rest } = state
  return rest
}

/**
 * Law: an id is greater than every id that a pod has taken up, as pods ignore older ones. Status knows the greatest one, unless
 * somebody took status away; then the pods still do.
 */
export function nextPlanId(state: State, at: Situation): number {
  const pods = [...at.seen.workloads.values()].flatMap((workload) => workload.pods)
  return 1 + Math.max(state.plan.id, ...pods.map((pod) => pod.evidence?.planId ?? 0))
}

function planFor(
  state: State,
  at: Situation,
  share?: { readonly candidate: RevisionName; readonly percent: number },
): TrafficPlan {
  return {
    id: nextPlanId(state, at),
    ...(state.stable !== undefined && { stable: state.stable }),
    ...(share !== undefined && { candidate: share.candidate }),
    weightPermille: (share?.percent ?? 0) * 10,
    shadowPermille: 0,
    peers: state.plan.peers,
    ...(at.policy.sticky !== undefined && { sticky: at.policy.sticky }),
  }
}

function attemptOf(rollout: ActiveRollout): Attempt {
  const { candidate, startedAt, since, progressedAt, generation, steps, gates, waived } = rollout
  const attempt = { candidate, startedAt, since, progressedAt, generation, steps, gates }
  return waived === undefined ? attempt : { ...attempt, waived }
}

function historyEntry(
  rollout: ActiveRollout,
  at: Situation,
  end: Pick<HistoryEntry, 'outcome' | 'reason'>,
): HistoryEntry {
  const version = versionOf(rollout.candidate, at.seen)
  return {
    revision: rollout.candidate,
    ...(version !== undefined && { version }),
    ...end,
    evidence: rollout.gates,
    startedAt: rollout.startedAt,
    endedAt: at.now,
  }
}

function reject(rejected: readonly Rejection[], rollout: RollingBack, at: Situation): readonly Rejection[] {
  const { because, candidate } = rollout
  const version = versionOf(candidate, at.seen)
  const rejection: Rejection = {
    revision: candidate,
    ...(version !== undefined && { version }),
    gate: because.kind === 'Gate' ? because.gate.name : because.kind,
    message: because.message,
    ...(because.kind === 'Gate' && { evidence: { ...because.gate.evidence } }),
    at: at.now,
  }
  return remember(rejection, rejected)
}

/** The newest rejection of a revision is the one that counts, and only so many revisions are remembered. */
export function remember(rejection: Rejection, rejected: readonly Rejection[]): readonly Rejection[] {
  return [rejection, ...rejected.filter((old) => old.revision !== rejection.revision)].slice(0, MAX_REJECTED)
}

/** Promotions are kept apart from what failed: a row of failures must not push out the revisions that an undo goes back to. */
export function withinLimit(history: readonly HistoryEntry[], limit: number): readonly HistoryEntry[] {
  let promotions = 0
  let others = 0
  return history.filter((each) => (each.outcome === 'Promoted' ? (promotions += 1) <= limit : (others += 1) <= limit))
}

/** The sentence for a rollout that ended as it should. */
export function promotionReason(rollout: ActiveRollout, at: Situation): string {
  const passed = rollout.gates.filter((gate) => gate.verdict === 'Pass').map((gate) => gate.name)
  const gates = passed.length > 0 ? ` and passed ${passed.join(', ')}` : ''
  const waived = rollout.waived === undefined ? '' : `; ${rollout.waived}`
  return `${describeRevision(rollout.candidate, at.seen)} is healthy at full size${gates}${waived}`
}
