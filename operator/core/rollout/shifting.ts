import { combine, type GateReport } from '../gates/verdict.ts'
import { judgeGates } from '../gates/judge.ts'
import { formatDurationMs, formatInstant, parseDurationMs, type Instant } from '../instant.ts'
import { readyPods, workloadOf } from '../observation.ts'
import type { Held, Shifting, State } from '../state.ts'
import { unacknowledged } from './acknowledgement.ts'
import { candidateHealth } from './health.ts'
import { isBroken, type Situation } from './situation.ts'
import { pauseOnFailure, rollBack, toPromoting, toStep, waiving } from './transitions.ts'
import { UNCOMPARED, mayGoUncompared } from './uncompared.ts'

/** Evidence is written to status when a verdict changes, and at least this often while it merely grows. */
const EVIDENCE_WRITE_INTERVAL_MS = 15_000

/**
 * One look at a candidate that has a share. In this order: is it still healthy, did stable take up the plan, what do the gates say,
 * does anybody hold it, is the hold over.
 */
export function shifted(state: State, rollout: Shifting, at: Situation): State {
  if (state.held?.by === 'GateFailure')
    return rollout.acknowledgedAt === undefined ? acknowledge(state, rollout, at) : state
  const health = candidateHealth(at.seen, rollout, 0)
  if (health.state === 'Broken') return rollBack(state, rollout, { kind: 'Health', message: health.message }, at)
  const { acknowledgedAt } = rollout
  const next =
    acknowledgedAt === undefined ? acknowledge(state, rollout, at) : judged(state, { ...rollout, acknowledgedAt }, at)
  const stays = next.rollout.phase === 'Shifting' && next.rollout.step === rollout.step
  return stays && health.state === 'Healthy' && goesUncompared(next, next.rollout, at)
    ? toPromoting(next, waiving(next.rollout, UNCOMPARED), at)
    : next
}

function goesUncompared(state: State, rollout: Shifting, at: Situation): boolean {
  const ahead = rollout.steps.slice(rollout.approved ? rollout.step + 1 : rollout.step)
  return state.held === undefined && mayGoUncompared(ahead) && isBroken(state, at)
}

/** When the hold of a step is over; undefined before the plan is acknowledged. */
export function holdEndsAt(rollout: Shifting): Instant | undefined {
  const hold = rollout.steps[rollout.step]?.hold
  return rollout.acknowledgedAt === undefined
    ? undefined
    : rollout.acknowledgedAt + (hold === undefined ? 0 : parseDurationMs(hold))
}

type Acknowledged = Shifting & { readonly acknowledgedAt: Instant }

function acknowledge(state: State, rollout: Shifting, at: Situation): State {
  const nobodyReady = readyPods(workloadOf(at.seen, state.stable)).length === 0
  if (nobodyReady || unacknowledged(state, at.seen, rollout.since).length > 0) return state
  return { ...state, rollout: { ...rollout, acknowledgedAt: at.now, progressedAt: at.now } }
}

function judged(state: State, rollout: Acknowledged, at: Situation): State {
  const gates = verdicts(rollout, state.plan.id, at)
  const departed = at.seen.traffic?.departed
  const current: Acknowledged = {
    ...rollout,
    ...worthWriting(rollout, gates, at.now),
    ...(departed !== undefined && { departed }),
  }
  const failed = gates.find((gate) => gate.verdict === 'Fail')
  if (failed !== undefined) {
    const seenFailing = { ...current, gates }
    if (at.policy.onFailure === 'Pause') return pauseOnFailure(state, seenFailing, failed, at)
    return rollBack(state, seenFailing, { kind: 'Gate', message: failed.message, gate: failed }, at)
  }
  const next = { ...state, rollout: current }
  if (at.now < (holdEndsAt(rollout) ?? Infinity)) return next
  return afterHold(next, { ...current, gates }, at)
}

/** The hold is over and nothing failed. */
function afterHold(state: State, rollout: Acknowledged, at: Situation): State {
  const missing = rollout.gates.filter((gate) => gate.verdict === 'Inconclusive')
  const [first] = missing
  if (first !== undefined && at.policy.onInsufficientData === 'Hold') return state
  if (first !== undefined && at.policy.onInsufficientData === 'Fail') {
    return rollBack(
      state,
      rollout,
      { kind: 'Gate', message: `not enough data at the end of the hold: ${first.message}`, gate: first },
      at,
    )
  }
  if (state.held !== undefined && state.held.by !== 'Approval') return state
  if (rollout.steps[rollout.step]?.approve === true && !rollout.approved) return awaitApproval(state, rollout, at)
  const going =
    missing.length === 0
      ? rollout
      : waiving(rollout, `onInsufficientData: Proceed went on without enough data for ${names(missing)}`)
  const next = rollout.step + 1
  return next < rollout.steps.length ? toStep(state, going, next, at) : toPromoting(state, going, at)
}

const names = (gates: readonly GateReport[]) => gates.map((gate) => gate.name).join(', ')

function awaitApproval(state: State, rollout: Acknowledged, at: Situation): State {
  const held: Held = state.held ?? {
    by: 'Approval',
    reason: `step ${rollout.step + 1} of ${rollout.steps.length} is done and waits for an approve action`,
    since: at.now,
  }
  return { ...state, rollout, held }
}

/** A share of zero has no requests to ask about. */
function verdicts(rollout: Shifting, planId: number, at: Situation): readonly GateReport[] {
  const { traffic } = at.seen
  if ((rollout.steps[rollout.step]?.weight ?? 0) === 0) return []
  if (traffic === undefined || traffic.planId !== planId) return rollout.gates
  const samples =
    rollout.baseline === undefined ? traffic.samples : { ...traffic.samples, earlierStable: rollout.baseline }
  return judgeGates(at.policy.gates, samples, { minSamples: at.policy.minSamples, steps: rollout.steps.length })
}

/** Keeps the reports that status already has while they say the same, so that growing counters do not mean a write each look. */
function worthWriting(
  rollout: Acknowledged,
  gates: readonly GateReport[],
  now: Instant,
): Pick<Shifting, 'gates' | 'judgedAt'> {
  const verdictsOf = (reports: readonly GateReport[]) =>
    reports.map((report) => `${report.name}=${report.verdict}`).join()
  const changed = verdictsOf(gates) !== verdictsOf(rollout.gates)
  const old = now - (rollout.judgedAt ?? rollout.acknowledgedAt) >= EVIDENCE_WRITE_INTERVAL_MS
  return changed || (old && gates.length > 0) ? { gates, judgedAt: now } : { gates: rollout.gates }
}

/** What a shifting rollout waits for, in one sentence without relative times, so that it changes only when the wait does. */
export function shiftingMessage(state: State, rollout: Shifting, at: Pick<Situation, 'seen' | 'now'>): string {
  const place = `step ${rollout.step + 1} of ${rollout.steps.length}, ${rollout.steps[rollout.step]?.weight ?? 0} % of requests`
  if (state.held !== undefined) return `${place}; held: ${state.held.reason}`
  const endsAt = holdEndsAt(rollout)
  if (endsAt === undefined) {
    const [late] = unacknowledged(state, at.seen, rollout.since)
    return `${place}; waiting for ${late ? `pod ${late.name}` : 'stable'} to take up plan ${state.plan.id}`
  }
  const open = rollout.gates.filter((gate) => gate.verdict === 'Inconclusive')
  const waitsForData = at.now >= endsAt && combine(rollout.gates) === 'Inconclusive'
  if (waitsForData) return `${place}; the hold is over, waiting for data for ${names(open)}`
  const hold = formatDurationMs(endsAt - (rollout.acknowledgedAt ?? endsAt))
  return `${place}; holds ${hold} until ${formatInstant(endsAt)}`
}
