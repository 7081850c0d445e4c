import type { Answers } from '../../protocol/evidence.ts'
import type { GateReport } from './gates/verdict.ts'
import type { DepartedTotals } from './gates/samples.ts'
import type { StepSpec } from '../api/resource.ts'
import type { Instant } from './instant.ts'
import type { RevisionName } from './revision.ts'

/**
 * What a ModelDeployment's rollout has come to, as the core thinks of it. It is read from status and written to status
 * (`status-codec.ts`); nothing of it lives anywhere else, so an operator that starts anew goes on where the last one stopped.
 */
export interface State {
  /** The revision that answers users; absent before the first one was promoted. */
  readonly stable?: RevisionName
  readonly rollout: Rollout
  readonly plan: TrafficPlan
  /** Why a rollout stands still although nothing is wrong with it. */
  readonly held?: Held
  /** Revisions that were replaced and still stand warm. */
  readonly retiring: readonly Retiring[]
  /** An undo, in force until spec asks for another revision. */
  readonly override?: Override
  readonly rejected: readonly Rejection[]
  /** Finished rollouts, newest first. */
  readonly history: readonly HistoryEntry[]
  readonly lastHandledAction?: HandledAction
  /** Ids of actions that are not to be done again, newest first. */
  readonly handledActions: readonly string[]
}

/** What every phase but Idle knows of its rollout. */
export interface Attempt {
  readonly candidate: RevisionName
  /** When the rollout began. */
  readonly startedAt: Instant
  /** When this phase, or this step, began. */
  readonly since: Instant
  /** When something last moved forward; the progress deadline counts from here. */
  readonly progressedAt: Instant
  /** Generation of spec that asked for it. */
  readonly generation: number
  /** The steps as they were when the rollout began: an edit of spec.rollout.steps counts from the next rollout on. */
  readonly steps: readonly StepSpec[]
  /** Latest verdicts, of this phase or step. */
  readonly gates: readonly GateReport[]
  /** In words: what let it go on without a Pass of every gate at every step. Absent while nothing did. */
  readonly waived?: string
}

export type Rollout = { readonly phase: 'Idle' } | Preparing | Shifting | Promoting | RollingBack
/** Resolve, scale up, prove healthy; no traffic yet. */
export interface Preparing extends Attempt {
  readonly phase: 'Preparing'
  /** Why the model could not be resolved yet, while that is tried again. */
  readonly resolveFailure?: string
}
/** The candidate answers the share of one step. */
export interface Shifting extends Attempt {
  readonly phase: 'Shifting'
  /** Index in `steps`. */
  readonly step: number
  /** When every stable pod had acknowledged the plan; the hold counts from here. */
  readonly acknowledgedAt?: Instant
  /** A person approved this step. */
  readonly approved: boolean
  /** When the verdicts in `gates` were drawn. */
  readonly judgedAt?: Instant
  /** Stable's answers in the step before, for a step that leaves stable no requests to compare with. */
  readonly baseline?: Answers
  /** Last counters of pods that vanished during this step. */
  readonly departed?: DepartedTotals
}
/** Every gate passed: capacity first, then the switch. */
export interface Promoting extends Attempt {
  readonly phase: 'Promoting'
}
/** Weight to zero first, then the candidate's pods. */
export interface RollingBack extends Attempt {
  readonly phase: 'RollingBack'
  readonly because: Because
}
export type ActiveRollout = Exclude<Rollout, { phase: 'Idle' }>

/** Why a rollout ended without promotion. All but the last two are held against the revision. */
export type Because =
  | { readonly kind: 'Gate'; readonly message: string; readonly gate: GateReport }
  | {
      readonly kind: 'Health' | 'Resolve' | 'InvalidTemplate' | 'DeadlinePassed' | 'Abort' | 'Superseded'
      readonly message: string
    }

export interface TrafficPlan {
  /** Increases with every change; 0 before the first plan. */
  readonly id: number
  readonly stable?: RevisionName
  /** Where the share goes; absent when stable answers everything. */
  readonly candidate?: RevisionName
  readonly weightPermille: number
  readonly shadowPermille: number
  /** Lower-case name of the header that keeps a user on one revision. */
  readonly sticky?: string
  /**
   * ClusterIPs that pods may relay to, by revision: those of this plan, and those of earlier plans that a pod may still follow.
   * They are part of the plan, so that the same id never means two addresses.
   */
  readonly peers: Readonly<Record<RevisionName, string>>
}

export interface Held {
  readonly by: 'Spec' | 'Action' | 'Approval' | 'GateFailure'
  readonly reason: string
  readonly since: Instant
}

export interface Retiring {
  readonly revision: RevisionName
  /** Earliest time of its removal. */
  readonly until: Instant
  /** Requests that reached it directly, summed over its pods. */
  readonly directRequests: number
  /** Since when that number has not grown. */
  readonly flatSince: Instant
}

export interface Override {
  readonly revision: RevisionName
  /** What spec asked for when the undo was made. */
  readonly specRevision: RevisionName
}

export interface Rejection {
  readonly revision: RevisionName
  readonly version?: string
  /** Gate or check that failed. */
  readonly gate: string
  readonly message: string
  readonly evidence?: Readonly<Record<string, unknown>>
  readonly at: Instant
}

export interface HistoryEntry {
  readonly revision: RevisionName
  readonly version?: string
  readonly outcome: 'Promoted' | 'RolledBack' | 'Superseded' | 'Aborted'
  readonly reason: string
  readonly evidence: readonly GateReport[]
  readonly startedAt: Instant
  readonly endedAt: Instant
}

export interface HandledAction {
  readonly id: string
  readonly verb: string
  readonly result: string
  readonly at: Instant
}

export const IDLE: Rollout = { phase: 'Idle' }
export const NO_PLAN: TrafficPlan = { id: 0, weightPermille: 0, shadowPermille: 0, peers: {} }
export const INITIAL_STATE: State = {
  rollout: IDLE,
  plan: NO_PLAN,
  retiring: [],
  rejected: [],
  history: [],
  handledActions: [],
}

/** Revisions that have pods: stable, the candidate and the retiring ones, each once. */
export function liveRevisions(state: State): readonly RevisionName[] {
  const all = [state.stable, candidateOf(state.rollout), ...state.retiring.map((old) => old.revision)]
  return [...new Set(all.filter((each) => each !== undefined))]
}

export function candidateOf(rollout: Rollout): RevisionName | undefined {
  return rollout.phase === 'Idle' ? undefined : rollout.candidate
}
