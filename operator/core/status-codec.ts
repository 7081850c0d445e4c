import type { Answers } from '../../protocol/evidence.ts'
import type { ModelDeploymentStatus } from '../api/resource.ts'
import type { DepartedTotals } from './gates/samples.ts'
import type { GateReport } from './gates/verdict.ts'
import { formatInstant, parseInstant } from './instant.ts'
import {
  IDLE,
  INITIAL_STATE,
  NO_PLAN,
  type ActiveRollout,
  type Attempt,
  type Because,
  type Rollout,
  type State,
  type TrafficPlan,
} from './state.ts'

/**
 * State to status and back. Status is flat, for people and printer columns; State is a union, for code. Reading is lenient: a
 * status that somebody bent is read as far as it makes sense, and a rollout that makes none starts anew from Idle.
 */

type RolloutStatus = NonNullable<ModelDeploymentStatus['rollout']>
type PersistedStatus = Pick<
  ModelDeploymentStatus,
  | 'rollout'
  | 'plan'
  | 'held'
  | 'retiring'
  | 'override'
  | 'rejected'
  | 'history'
  | 'lastHandledAction'
  | 'handledActions'
>

export function encodeState(state: State): PersistedStatus {
  return {
    rollout: encodeRollout(state.rollout, state.plan),
    ...(state.plan.id > 0 && { plan: encodePlan(state.plan) }),
    ...(state.held !== undefined && { held: { ...state.held, since: formatInstant(state.held.since) } }),
    ...(state.retiring.length > 0 && {
      retiring: state.retiring.map((old) => ({
        ...old,
        until: formatInstant(old.until),
        flatSince: formatInstant(old.flatSince),
      })),
    }),
    ...(state.override !== undefined && { override: { ...state.override } }),
    ...(state.rejected.length > 0 && {
      rejected: state.rejected.map((rejection) => ({ ...rejection, at: formatInstant(rejection.at) })),
    }),
    ...(state.history.length > 0 && {
      history: state.history.map((entry) => ({
        ...entry,
        evidence: entry.evidence.map(encodeReport),
        startedAt: formatInstant(entry.startedAt),
        endedAt: formatInstant(entry.endedAt),
      })),
    }),
    ...(state.lastHandledAction !== undefined && {
      lastHandledAction: { ...state.lastHandledAction, at: formatInstant(state.lastHandledAction.at) },
    }),
    ...(state.handledActions.length > 0 && { handledActions: [...state.handledActions] }),
  }
}

function encodeReport(report: GateReport): NonNullable<RolloutStatus['gates']>[number] {
  return { ...report, evidence: { ...report.evidence } }
}

function encodePlan(plan: TrafficPlan): NonNullable<ModelDeploymentStatus['plan']> {
  const { weightPermille, shadowPermille, peers, ...rest } = plan
  const anyPeer = Object.keys(peers).length > 0
  return { ...rest, weight: weightPermille, shadow: shadowPermille, ...(anyPeer && { peers: { ...peers } }) }
}

function encodeRollout(rollout: Rollout, plan: TrafficPlan): RolloutStatus {
  if (rollout.phase === 'Idle') return { phase: 'Idle' }
  const common: RolloutStatus = {
    phase: rollout.phase,
    weight: plan.weightPermille / 10,
    startedAt: formatInstant(rollout.startedAt),
    since: formatInstant(rollout.since),
    progressedAt: formatInstant(rollout.progressedAt),
    generation: rollout.generation,
    ...(rollout.steps.length > 0 && { steps: rollout.steps.map((step) => ({ ...step })) }),
    ...(rollout.gates.length > 0 && { gates: rollout.gates.map(encodeReport) }),
    ...(rollout.waived !== undefined && { waived: rollout.waived }),
  }
  return { ...common, ...encodePhase(rollout) }
}

function encodePhase(rollout: ActiveRollout): Partial<RolloutStatus> {
  if (rollout.phase === 'RollingBack') {
    const { because } = rollout
    return { because: because.kind === 'Gate' ? { ...because, gate: encodeReport(because.gate) } : { ...because } }
  }
  if (rollout.phase === 'Preparing')
    return rollout.resolveFailure === undefined ? {} : { resolveFailure: rollout.resolveFailure }
  if (rollout.phase !== 'Shifting') return {}
  return {
    step: rollout.step,
    progress: `${rollout.step + 1}/${rollout.steps.length}`,
    ...(rollout.approved && { approved: true }),
    ...(rollout.acknowledgedAt !== undefined && { acknowledgedAt: formatInstant(rollout.acknowledgedAt) }),
    ...(rollout.judgedAt !== undefined && { judgedAt: formatInstant(rollout.judgedAt) }),
    ...(rollout.baseline !== undefined && { baseline: { ...rollout.baseline } }),
    ...(rollout.departed !== undefined && { departed: { ...rollout.departed } }),
  }
}

export function decodeState(status: ModelDeploymentStatus | undefined): State {
  if (status === undefined) return INITIAL_STATE
  const held = status.held
  const heldSince = parseInstant(held?.since)
  return {
    ...(status.stable !== undefined && { stable: status.stable.revision }),
    rollout: decodeRollout(status),
    plan: decodePlan(status.plan),
    ...(held !== undefined &&
      heldSince !== undefined && { held: { by: held.by, reason: held.reason, since: heldSince } }),
    retiring: (status.retiring ?? []).map((old) => ({
      revision: old.revision,
      until: parseInstant(old.until) ?? 0,
      directRequests: old.directRequests ?? 0,
      flatSince: parseInstant(old.flatSince) ?? parseInstant(old.until) ?? 0,
    })),
    ...(status.override !== undefined && { override: status.override }),
    rejected: (status.rejected ?? []).map((rejection) => ({
      ...rejection,
      gate: rejection.gate ?? 'unknown',
      at: parseInstant(rejection.at) ?? 0,
    })),
    history: (status.history ?? []).map((entry) => ({
      revision: entry.revision,
      ...(entry.version !== undefined && { version: entry.version }),
      outcome: entry.outcome,
      reason: entry.reason ?? '',
      evidence: decodeReports(entry.evidence),
      startedAt: parseInstant(entry.startedAt) ?? 0,
      endedAt: parseInstant(entry.endedAt) ?? 0,
    })),
    ...(status.lastHandledAction !== undefined && {
      lastHandledAction: { ...status.lastHandledAction, at: parseInstant(status.lastHandledAction.at) ?? 0 },
    }),
    handledActions: status.handledActions ?? [],
  }
}

function decodePlan(plan: ModelDeploymentStatus['plan']): TrafficPlan {
  if (plan === undefined) return NO_PLAN
  const { weight, shadow, peers, ...rest } = plan
  return { ...rest, weightPermille: weight ?? 0, shadowPermille: shadow ?? 0, peers: peers ?? {} }
}

/** The evidence's own shape is the operator's: it is written and read by the same code, and shown to people as it is. */
function decodeReports(reports: RolloutStatus['gates']): readonly GateReport[] {
  return (reports ?? []) as unknown as readonly GateReport[]
}

function decodeRollout(status: ModelDeploymentStatus): Rollout {
  const { rollout, candidate } = status
  const startedAt = parseInstant(rollout?.startedAt)
  const since = parseInstant(rollout?.since)
  if (rollout === undefined || rollout.phase === 'Idle') return IDLE
  if (candidate === undefined || startedAt === undefined || since === undefined) return IDLE
  const attempt: Attempt = {
    candidate: candidate.revision,
    startedAt,
    since,
    progressedAt: parseInstant(rollout.progressedAt) ?? since,
    generation: rollout.generation ?? 0,
    steps: rollout.steps ?? [],
    gates: decodeReports(rollout.gates),
    ...(rollout.waived !== undefined && { waived: rollout.waived }),
  }
  return decodePhase(rollout, attempt)
}

function decodePhase(rollout: RolloutStatus, attempt: Attempt): Rollout {
  switch (rollout.phase) {
    case 'Idle':
      return IDLE
    case 'Preparing':
      return {
        ...attempt,
        phase: 'Preparing',
        ...(rollout.resolveFailure !== undefined && { resolveFailure: rollout.resolveFailure }),
      }
    case 'Promoting':
      return { ...attempt, phase: 'Promoting' }
    case 'RollingBack':
      return { ...attempt, phase: 'RollingBack', because: decodeBecause(rollout.because) }
    case 'Shifting': {
      const acknowledgedAt = parseInstant(rollout.acknowledgedAt)
      const judgedAt = parseInstant(rollout.judgedAt)
      return {
        ...attempt,
        phase: 'Shifting',
        step: rollout.step ?? 0,
        approved: rollout.approved ?? false,
        ...(acknowledgedAt !== undefined && { acknowledgedAt }),
        ...(judgedAt !== undefined && { judgedAt }),
        ...(rollout.baseline !== undefined && { baseline: rollout.baseline as unknown as Answers }),
        ...(rollout.departed !== undefined && { departed: rollout.departed as unknown as DepartedTotals }),
      }
    }
    default:
      return rollout.phase satisfies never
  }
}

function decodeBecause(because: RolloutStatus['because']): Because {
  const message = because?.message ?? 'the reason was lost'
  if (because === undefined) return { kind: 'Abort', message }
  if (because.kind !== 'Gate') return { kind: because.kind, message }
  const [gate] = decodeReports(because.gate === undefined ? undefined : [because.gate])
  return gate === undefined ? { kind: 'Health', message } : { kind: 'Gate', message, gate }
}
