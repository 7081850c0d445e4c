import type { Condition, ModelDeployment } from '../api/resource.ts'
import { formatSecond, parseInstant, type Instant } from './instant.ts'
import { readyPods, workloadOf, type Observation } from './observation.ts'
import type { SpecProblem } from './spec-problems.ts'
import { candidateOf, type ActiveRollout, type Rejection, type State } from './state.ts'
import { ACKNOWLEDGE_DEADLINE_MS, unacknowledged } from './rollout/acknowledgement.ts'
import { candidateHealth } from './rollout/health.ts'
import { refusal } from './rollout/refusal.ts'
import { lingeringPeers } from './rollout/peers.ts'
import { shiftingMessage } from './rollout/shifting.ts'
import { describeRevision, fullSize, type Situation } from './rollout/situation.ts'

/** What the conditions are drawn from. */
export interface Outlook extends Obstacles {
  readonly state: State
  readonly situation: Situation
}

/** Why spec is not being done, nor will be as things are. */
export interface Obstacles {
  /** What a person has to mend in spec. */
  readonly problems: readonly SpecProblem[]
  /** What passes by itself; absent when nothing is waited for. */
  readonly waitsFor?: string
}

interface Answer {
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
}

const yes = (reason: string, message: string): Answer => ({ status: 'True', reason, message })
const no = (reason: string, message: string): Answer => ({ status: 'False', reason, message })

/**
 * Conditions after the rules of kstatus (cli-utils, kstatus README): Ready is true when the revision that spec asks for serves;
 * Reconciling while something is under way; Stalled when only a person can help. Messages hold no relative times, so that a
 * condition changes only when what it says does.
 */
export function conditionsOf(outlook: Outlook): Condition[] {
  const stalled = stalledAnswer(outlook)
  const ready = readyAnswer(outlook, stalled)
  const answers = {
    Ready: ready,
    Reconciling: reconcilingAnswer(outlook, ready, stalled),
    Stalled: stalled,
    Available: availableAnswer(outlook),
    Progressing: progressingAnswer(outlook, stalled),
  }
  return asConditions(answers, outlook.situation.seen.resource, outlook.situation.now)
}

/** When nothing can be decided, which is our fault: what was true of stable may still be, and is left as it is. */
export function conditionsAfterInternalError(resource: ModelDeployment, error: unknown, now: Instant): Condition[] {
  const said = error instanceof Error ? error.message : String(error)
  const message = `an error of the operator itself keeps it from deciding anything: ${said.slice(0, 500)}; nothing is changed, please report it`
  const answers = {
    Ready: no('InternalError', message),
    Reconciling: no('Stalled', message),
    Stalled: yes('InternalError', message),
  }
  const others = resource.status?.conditions?.filter(({ type }) => !Object.hasOwn(answers, type)) ?? []
  return [...asConditions(answers, resource, now), ...others]
}

function asConditions(
  answers: Readonly<Record<string, Answer>>,
  { metadata, status }: ModelDeployment,
  now: Instant,
): Condition[] {
  return Object.entries(answers).map(([type, answer]) => {
    const before = status?.conditions?.find((condition) => condition.type === type)
    const since = before?.status === answer.status ? parseInstant(before.lastTransitionTime) : undefined
    return {
      type,
      ...answer,
      observedGeneration: metadata.generation,
      lastTransitionTime: formatSecond(since ?? now),
    }
  })
}

function stalledAnswer(outlook: Outlook): Answer {
  const { state, situation, problems } = outlook
  if (problems.length > 0 && state.override === undefined) return yes('InvalidSpec', allOf(problems))
  const rejection = standingRejection(state, situation)
  const lasting = situation.seen.applyProblems.find(
    ({ kind, object }) => kind !== 'Passing' && !(rejection !== undefined && object.includes(rejection.revision)),
  )
  if (lasting !== undefined) return yes('ApplyFailed', `${lasting.object}: ${lasting.message}`)
  if (rejection !== undefined) {
    const name = describeRevision(rejection.revision, situation.seen)
    return yes(
      'RevisionRejected',
      `${name} was rejected (${rejection.gate}): ${rejection.message}; change spec, or try it again with the action retry on ${rejection.revision}`,
    )
  }
  if (state.held?.by === 'GateFailure') return yes('GateFailed', state.held.reason)
  const lost = lostRecord(state, situation)
  if (lost !== undefined) return yes('RecordMissing', lost)
  const overridden = overriddenSpec(outlook)
  if (overridden !== undefined) return yes('Overridden', overridden)
  const late = lateAcknowledgement(state, situation)
  if (late !== undefined) return yes('PlanNotAcknowledged', late)
  return no('NotStalled', 'nothing waits for a person')
}

/** A person should not have to mend a spec one problem at a time. */
const MAX_PROBLEMS = 10

function allOf(problems: readonly SpecProblem[]): string {
  const told = problems.slice(0, MAX_PROBLEMS).map(({ message }) => message.slice(0, 500))
  const left = problems.length - told.length
  return [...told, ...(left > 0 ? [`and ${left} more`] : [])].join('; ')
}

/** Why the revision that spec asks for is not tried. */
function standingRejection({ stable, rejected, rollout }: State, { desired }: Situation): Rejection | undefined {
  if (desired === stable || rollout.phase !== 'Idle') return undefined
  return rejected.find((each) => each.revision === desired)
}

/** How to leave an undo comes first; what else is wrong with spec counts once it is left. */
function overriddenSpec({ state, situation, problems: [problem] }: Outlook): string | undefined {
  const { override, stable, rollout } = state
  if (override === undefined || override.revision !== stable || rollout.phase !== 'Idle') return undefined
  const { revision, specRevision } = override
  const also = problem === undefined ? '' : `; besides, ${problem.message}`
  return `${describeRevision(revision, situation.seen)} serves because of an undo, spec asks for ${specRevision}; change spec, or retry ${specRevision}${also}`
}

/** Pods that run go on, but a revision without its record can be neither repaired nor gone back to. */
function lostRecord({ stable, rollout }: State, { seen, desired }: Situation): string | undefined {
  if (stable === undefined || seen.records.has(stable) || rollout.phase !== 'Idle') return undefined
  const resolve = seen.resolves.get(stable)
  const failure = resolve?.state === 'Finished' && !resolve.result.ok ? resolve.result.message : undefined
  const isMadeAnew = desired === stable && workloadOf(seen, stable).desiredReplicas === undefined
  if (isMadeAnew && failure === undefined) return undefined
  const because = failure === undefined ? '' : ` (${failure})`
  return `ControllerRevision ${stable} is missing or cannot be read${because}; its Deployment is left as it is: restore the object, or change spec.model or spec.server to roll out anew`
}

function lateAcknowledgement(state: State, { seen, now }: Situation): string | undefined {
  const { rollout } = state
  if (
    rollout.phase !== 'Shifting' ||
    rollout.acknowledgedAt !== undefined ||
    now - rollout.since < ACKNOWLEDGE_DEADLINE_MS
  )
    return undefined
  const [pod] = unacknowledged(state, seen, rollout.since)
  return (
    pod &&
    `pod ${pod.name} has not taken up traffic plan ${state.plan.id}; look at its logs and at ConfigMap ${seen.resource.metadata.name}-traffic`
  )
}

function readyAnswer({ state, situation, waitsFor }: Outlook, stalled: Answer): Answer {
  const { seen, desired } = situation
  const ready = reachedPods(state, seen)
  if (stalled.status === 'True') return no(stalled.reason, stalled.message)
  if (state.rollout.phase !== 'Idle') return no(state.rollout.phase, progress(state, situation))
  if (waitsFor !== undefined && state.override === undefined) return no('WaitingForRetiring', waitsFor)
  if (state.stable !== desired || state.stable === undefined)
    return no('Pending', `${describeRevision(desired, seen)} is about to be rolled out`)
  if (ready === 0) {
    const workload = workloadOf(seen, state.stable)
    if (workload.desiredReplicas === 0) return yes('ScaledToZero', 'no replicas are asked for, and none run')
    const reason = readyPods(workload).length > 0 ? 'NotReached' : 'Unavailable'
    return no(reason, `no pod of ${describeRevision(desired, seen)} answers${podProblem(state, seen)}`)
  }
  return yes('Serving', `${describeRevision(desired, seen)} serves`)
}

function reconcilingAnswer({ state, situation }: Outlook, ready: Answer, stalled: Answer): Answer {
  if (ready.status === 'True') return no('Reconciled', ready.message)
  if (stalled.status === 'True') return no('Stalled', stalled.message)
  if (situation.seen.applyProblems.length > 0) return yes('ApplyRetrying', applyProblemsOf(situation.seen))
  return yes(state.rollout.phase === 'Idle' ? ready.reason : state.rollout.phase, ready.message)
}

function availableAnswer({ state, situation }: Outlook): Answer {
  const { seen } = situation
  if (state.stable === undefined) return no('NoStableRevision', 'no revision was promoted yet')
  const ready = reachedPods(state, seen)
  const name = describeRevision(state.stable, seen)
  return ready > 0
    ? yes('StableServes', `${name} answers users`)
    : no('NoReadyPods', `no pod of ${name} answers${podProblem(state, seen)}`)
}

function progressingAnswer({ state, situation }: Outlook, stalled: Answer): Answer {
  if (state.rollout.phase !== 'Idle') return yes(state.rollout.phase, progress(state, situation))
  if (stalled.status === 'True') return no(stalled.reason, stalled.message)
  const [last] = state.history
  return last === undefined ? no('NoRollout', 'no rollout is under way') : no(last.outcome, last.reason)
}

/** Pods that answer users: ready is not enough, the Service must send requests there. Status is written before the Service moves. */
function reachedPods(state: State, seen: Observation): number {
  return readyPods(workloadOf(seen, state.stable)).filter((pod) => seen.reached.has(pod.name)).length
}

/** What a rollout is doing and waiting for, in one sentence. */
function progress(state: State, situation: Situation): string {
  const { rollout } = state
  if (rollout.phase === 'Idle') return 'no rollout is under way'
  const name = describeRevision(rollout.candidate, situation.seen)
  if (rollout.phase === 'RollingBack') return `${name} is being rolled back: ${rollout.because.message}`
  if (rollout.phase === 'Shifting') return `${name}: ${shiftingMessage(state, rollout, situation)}`
  const held = state.held === undefined ? '' : `; held: ${state.held.reason}`
  return `${name}: ${preparationMessage(state, rollout, situation)}${held}`
}

function preparationMessage(state: State, rollout: ActiveRollout, situation: Situation): string {
  const { seen } = situation
  const refused = refusal(seen, rollout.candidate)
  if (refused !== undefined) return `${refused}; it will be tried again`
  if (!seen.records.has(rollout.candidate)) {
    const resolve = seen.resolves.get(rollout.candidate)
    if (resolve?.state === 'Running' && resolve.problem !== undefined) return `resolving the model (${resolve.problem})`
    const failure = rollout.phase === 'Preparing' ? rollout.resolveFailure : undefined
    return failure === undefined ? 'resolving the model' : `${failure}; it will be tried again`
  }
  const health = candidateHealth(seen, rollout, fullSize(state, seen))
  if (health.state !== 'Healthy') return health.message
  if (rollout.phase === 'Promoting') return 'taking over'
  const stableAnswers = state.stable === undefined || readyPods(workloadOf(seen, state.stable)).length > 0
  return stableAnswers
    ? 'healthy'
    : 'healthy; no pod of stable answers, so no step can begin: bring it back, or promote'
}

function podProblem(state: State, seen: Observation): string {
  const workload = workloadOf(seen, state.stable)
  const pod = workload.pods.find((each) => each.problem !== undefined)
  if (pod !== undefined) return `; pod ${pod.name}: ${pod.problem ?? ''}`
  if (workload.problem !== undefined) return `; ${workload.problem}`
  const isOnItsWay = readyPods(workload).length > 0
  return isOnItsWay ? `; the pods are ready, Service ${seen.resource.metadata.name} does not reach them yet` : ''
}

function applyProblemsOf(seen: Observation): string {
  return seen.applyProblems.map(({ object, message }) => `${object}: ${message}`).join('; ')
}

/** True when the core has to hear from pods: nobody is asked while nothing is decided, unless status forgot which plan they follow. */
export function wantsEvidence(state: State): boolean {
  const isAwaited = candidateOf(state.rollout) !== undefined || state.retiring.length > 0
  return isAwaited || lingeringPeers(state).length > 0 || state.plan.id === 0
}
