import type { ContainerStatus, Pod, PodCondition } from '../objects.ts'
import { isSidecar, recordOf } from './record.ts'
import type { Records } from './record.ts'

export interface ConditionFacts {
  readonly phase: string
  readonly records: Records
  readonly initialized: boolean
  readonly prepared: boolean
  readonly containerStatuses: readonly ContainerStatus[]
  /** The conditions shown last, by anybody: the newest of each type. */
  readonly conditionsBefore: readonly PodCondition[]
  readonly nowMs: number
}

interface Answer {
  readonly status: 'True' | 'False'
  readonly reason?: string
  readonly message?: string
}

const TRUE: Answer = { status: 'True' }

/** The five conditions that the kubelet owns; a condition keeps its transition time while its status stays the same. */
export function conditionsOf(pod: Pod, facts: ConditionFacts): PodCondition[] {
  const containers = containersReady(facts)
  const ended = isTerminal(facts.phase)
  const answers: Record<string, Answer> = {
    PodReadyToStartContainers: { status: facts.prepared && !ended ? 'True' : 'False' },
    Initialized: initialized(pod, facts),
    Ready: ready(pod, facts.conditionsBefore, containers),
    ContainersReady: containers,
    PodScheduled: TRUE,
  }
  return Object.entries(answers).map(([type, answer]) => withTransition(type, answer, facts))
}

function withTransition(type: string, answer: Answer, { conditionsBefore, nowMs }: ConditionFacts): PodCondition {
  const before = conditionsBefore.find((each) => each.type === type)
  const unchanged = before?.status === answer.status && before.lastTransitionTime !== undefined
  const lastTransitionTime = unchanged ? before.lastTransitionTime : `${new Date(nowMs).toISOString().slice(0, 19)}Z`
  return { type, ...answer, ...(lastTransitionTime !== undefined && { lastTransitionTime }) }
}

function initialized(pod: Pod, { phase, initialized, records }: ConditionFacts): Answer {
  if (initialized) return phase === 'Succeeded' ? { status: 'True', reason: 'PodCompleted' } : TRUE
  const incomplete = (pod.spec.initContainers ?? []).filter((container) => {
    const record = recordOf(records, container.name)
    if (isSidecar(container)) return !record.started
    return record.state.kind !== 'exited' || record.state.exit.exitCode !== 0
  })
  if (incomplete.length === 0) return TRUE
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.map(({ name }) => name).join(' ')}]`,
  }
}

function containersReady({ phase, containerStatuses }: ConditionFacts): Answer {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  const unready = containerStatuses.filter((each) => !each.ready).map(({ name }) => name)
  if (unready.length === 0) return TRUE
  return {
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${unready.join(' ')}]`,
  }
}

function ready(pod: Pod, conditions: readonly PodCondition[], containers: Answer): Answer {
  if (containers.status === 'False') return containers
  const problems = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = conditions.find((each) => each.type === conditionType)
    if (condition === undefined)
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    if (condition.status === 'True') return []
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`]
  })
  if (problems.length === 0) return TRUE
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: problems.join(', ') }
}

export function isTerminal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}
