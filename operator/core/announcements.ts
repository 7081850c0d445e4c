import type { Condition } from '../api/resource.ts'
import type { State } from './state.ts'
import type { Observation } from './observation.ts'
import { describeRevision } from './rollout/situation.ts'

/** One Kubernetes Event. */
export interface Announcement {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase. */
  readonly reason: string
  /** What the controller did. */
  readonly action: string
  readonly message: string
}

/** What changed between two states of a rollout, as Events: one for every transition, none for anything else. */
export function announcementsOf(before: State, after: State, seen: Observation): Announcement[] {
  return [
    ...actionEvents(before, after),
    ...endEvents(before, after, seen),
    ...phaseEvents(before, after, seen),
    ...resolveEvents(before, after, seen),
    ...holdEvents(before, after),
    ...retireEvents(before, after, seen),
  ]
}

/** Of Ready; the others are phases of a rollout and what stalls it, announced as such, and the moment of the switch (NotReached). */
const READY_REASONS = ['Pending', 'Serving', 'ScaledToZero', 'Unavailable']

/** What is new in the conditions: a reason that begins or ends, and the same reason for another spec. */
export function conditionAnnouncements(
  before: readonly Condition[] | undefined,
  after: readonly Condition[],
): Announcement[] {
  const both = (type: string) =>
    [before, after].map((conditions) => conditions?.find((each) => each.type === type)) as [Condition?, Condition?]
  return [...stallEvents(...both('Stalled')), ...readyEvents(...both('Ready'))]
}

function stallEvents(before?: Condition, after?: Condition): Announcement[] {
  if (after?.status !== 'True')
    return before?.status === 'True'
      ? [normal('NoLongerStalled', 'Resume', `this is over: ${before.reason}: ${before.message}`)]
      : []
  const sameReason = before?.status === 'True' && before.reason === after.reason
  const sameSpec = before?.observedGeneration === after.observedGeneration
  if (sameReason && (sameSpec || before.message === after.message)) return []
  return [warning(after.reason, 'Stall', after.message)]
}

function readyEvents(before?: Condition, after?: Condition): Announcement[] {
  if (after === undefined || after.reason === before?.reason || !READY_REASONS.includes(after.reason)) return []
  const say = after.reason === 'Unavailable' ? warning : normal
  return [say(after.reason, 'Observe', after.message)]
}

const normal = (reason: string, action: string, message: string): Announcement => ({
  type: 'Normal',
  reason,
  action,
  message,
})
const warning = (reason: string, action: string, message: string): Announcement => ({
  type: 'Warning',
  reason,
  action,
  message,
})

function actionEvents(before: State, after: State): Announcement[] {
  const action = after.lastHandledAction
  if (action === undefined || action.id === before.lastHandledAction?.id) return []
  const say = action.result === 'Done' ? normal : warning
  return [
    say(
      action.result === 'Done' ? 'ActionDone' : 'ActionRefused',
      'HandleAction',
      `${action.verb} (${action.id}): ${action.result}`,
    ),
  ]
}

function endEvents(before: State, after: State, seen: Observation): Announcement[] {
  const ended = before.rollout.phase !== 'Idle' && after.rollout.phase === 'Idle'
  const [entry] = after.history
  if (!ended || entry === undefined) return []
  const name = describeRevision(entry.revision, seen)
  const message = entry.reason.startsWith(name) ? entry.reason : `${name}: ${entry.reason}`
  return [
    entry.outcome === 'RolledBack'
      ? warning(entry.outcome, 'RollBack', message)
      : normal(entry.outcome, entry.outcome === 'Promoted' ? 'Promote' : 'RollBack', message),
  ]
}

/** Once for each reason, however often it is tried again. */
function resolveEvents(before: State, after: State, seen: Observation): Announcement[] {
  const failureOf = ({ rollout }: State) => (rollout.phase === 'Preparing' ? rollout.resolveFailure : undefined)
  const failure = failureOf(after)
  if (after.rollout.phase !== 'Preparing' || failure === undefined || failure === failureOf(before)) return []
  const name = describeRevision(after.rollout.candidate, seen)
  return [warning('ResolveFailed', 'Resolve', `${name}: ${failure}; it will be tried again`)]
}

function phaseEvents(before: State, after: State, seen: Observation): Announcement[] {
  const { rollout } = after
  const stepOf = (state: State) => (state.rollout.phase === 'Shifting' ? state.rollout.step : undefined)
  const same = rollout.phase === before.rollout.phase && stepOf(before) === stepOf(after)
  if (same || rollout.phase === 'Idle') return []
  const name = describeRevision(rollout.candidate, seen)
  switch (rollout.phase) {
    case 'Preparing':
      return [normal('RolloutStarted', 'StartRollout', `${name} is being prepared`)]
    case 'Shifting':
      return [
        normal(
          'StepStarted',
          'ShiftTraffic',
          `step ${rollout.step + 1} of ${rollout.steps.length}: ${name} gets ${rollout.steps[rollout.step]?.weight ?? 0} % of requests`,
        ),
      ]
    case 'Promoting':
      return [normal('Promoting', 'Promote', `${name} is brought to full size before it takes over`)]
    case 'RollingBack':
      return [warning('RollingBack', 'RollBack', `${name}: ${rollout.because.message}`)]
    default:
      return rollout satisfies never
  }
}

function holdEvents(before: State, after: State): Announcement[] {
  if (after.held !== undefined && before.held?.by !== after.held.by) return [normal('Held', 'Hold', after.held.reason)]
  if (after.held === undefined && before.held !== undefined && after.rollout.phase === before.rollout.phase)
    return [normal('Released', 'Release', `no longer held: ${before.held.reason}`)]
  return []
}

function retireEvents(before: State, after: State, seen: Observation): Announcement[] {
  const gone = before.retiring.filter(
    (old) => !after.retiring.some((each) => each.revision === old.revision) && old.revision !== after.stable,
  )
  const restarted = after.rollout.phase === 'Idle' ? undefined : after.rollout.candidate
  return gone
    .filter((old) => old.revision !== restarted)
    .map((old) =>
      normal(
        'ScaledDown',
        'ScaleDown',
        `${describeRevision(old.revision, seen)} is removed: nothing reaches it any more`,
      ),
    )
}
