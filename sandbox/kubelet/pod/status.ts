import type { Container, ContainerStatus, Pod, PodCondition, PodStatus, StateShown, Terminated } from '../objects.ts'
import { podLabel } from '../objects.ts'
import type { BackOffPolicy } from './back-off.ts'
import { conditionsOf } from './conditions.ts'
import { crashLoop, policyOf, restarts } from './plan.ts'
import type { Ending } from './plan.ts'
import { qosClassOf } from './qos.ts'
import { isSidecar, latestExit, recordOf } from './record.ts'
import type { ContainerRecord, Exit, Records } from './record.ts'

/** How long a failed pull shows itself before its back-off does. */
export const PULL_ERROR_SHOWN_MS = 1000

export interface PodFacts {
  readonly records: Records
  readonly initialized: boolean
  /** Its directory, volumes and address are there. */
  readonly prepared: boolean
  readonly podIP?: string | undefined
  readonly hostIP: string
  readonly startedAtMs: number
  readonly ending?: Ending | undefined
  readonly outcome?: 'Succeeded' | 'Failed' | undefined
  readonly conditionsBefore: readonly PodCondition[]
  readonly nowMs: number
  readonly backOff: BackOffPolicy
  readonly imageIdOf: (image: string) => string
}

/** The status that a kubelet shows for a pod in this state. Conditions of others are not in it: a patch leaves them alone. */
export function podStatusOf(pod: Pod, facts: PodFacts): PodStatus {
  const shown = (container: Container): ContainerStatus => containerStatusOf(pod, container, facts)
  const containerStatuses = pod.spec.containers.map(shown)
  const initContainerStatuses = pod.spec.initContainers?.map(shown)
  const phase = phaseOf(pod, facts)
  const conditions: PodCondition[] = conditionsOf(pod, { ...facts, phase, containerStatuses })
  return {
    phase,
    ...(phase === 'Failed' &&
      facts.ending === 'DeadlineExceeded' && {
        reason: 'DeadlineExceeded',
        message: 'Pod was active on the node longer than the specified deadline',
      }),
    conditions,
    hostIP: facts.hostIP,
    hostIPs: [{ ip: facts.hostIP }],
    ...(facts.podIP !== undefined && { podIP: facts.podIP, podIPs: [{ ip: facts.podIP }] }),
    startTime: timestamp(facts.startedAtMs),
    qosClass: qosClassOf(pod),
    ...(initContainerStatuses !== undefined && { initContainerStatuses }),
    containerStatuses,
  }
}

function containerStatusOf(pod: Pod, container: Container, facts: PodFacts): ContainerStatus {
  const record = recordOf(facts.records, container.name)
  const { state, last } = shownStates(pod, container, facts)
  const image = container.image ?? ''
  const containerID = record.state.kind === 'running' ? record.state.containerID : latestExit(record)?.containerID
  return {
    name: container.name,
    state,
    lastState: last === undefined ? {} : { terminated: terminated(last) },
    ready: isContainerReady(pod, container, record),
    started: record.state.kind === 'running' && record.started,
    restartCount: record.restartCount,
    image,
    imageID: containerID === undefined ? '' : facts.imageIdOf(image),
    ...(containerID !== undefined && { containerID }),
  }
}

interface Shown {
  readonly state: StateShown
  readonly last: Exit | undefined
}

function shownStates(pod: Pod, container: Container, facts: PodFacts): Shown {
  const record = recordOf(facts.records, container.name)
  const { state, last } = record
  switch (state.kind) {
    case 'none':
      return { state: { waiting: { reason: unstartedReason(pod) } }, last }
    case 'refused':
      return { state: { waiting: refusal(state, container, facts.nowMs) }, last }
    case 'running':
      return { state: { running: { startedAt: timestamp(state.startedAtMs) } }, last }
    case 'exited': {
      const ends = facts.ending !== undefined || facts.outcome !== undefined
      const loop = restarts(policyOf(pod, container), state.exit) && crashLoop(record, facts.nowMs, facts.backOff)
      if (ends || !loop) return { state: { terminated: terminated(state.exit) }, last }
      const message = `back-off ${duration(loop.delayMs)} restarting failed container=${container.name} pod=${podLabel(pod)}`
      return { state: { waiting: { reason: 'CrashLoopBackOff', message } }, last: state.exit }
    }
    default:
      return state satisfies never
  }
}

function unstartedReason(pod: Pod): string {
  return (pod.spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating'
}

function refusal(
  state: { reason: string; message: string; atMs: number },
  container: Container,
  nowMs: number,
): { reason: string; message: string } {
  const { reason, message } = state
  if (reason !== 'ErrImagePull' || nowMs < state.atMs + PULL_ERROR_SHOWN_MS) return { reason, message }
  return {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${container.image ?? ''}": ${reason}: ${message}`,
  }
}

function terminated(exit: Exit): Terminated {
  return {
    exitCode: exit.exitCode,
    reason: exit.reason,
    ...(exit.message !== undefined && { message: exit.message }),
    startedAt: timestamp(exit.startedAtMs),
    finishedAt: timestamp(exit.finishedAtMs),
    containerID: exit.containerID,
  }
}

function isContainerReady(pod: Pod, container: Container, record: ContainerRecord): boolean {
  const isInit = pod.spec.initContainers?.includes(container) === true && !isSidecar(container)
  if (isInit) return record.state.kind === 'exited' && record.state.exit.exitCode === 0
  return record.state.kind === 'running' && record.started && record.probedReady
}

/** A pod runs from its first container's start on, and is pending while one of them has never run. */
function phaseOf(pod: Pod, facts: PodFacts): string {
  if (facts.outcome !== undefined) return facts.outcome
  if (!facts.initialized) return 'Pending'
  const neverRan = pod.spec.containers.some(({ name }) => {
    const record = recordOf(facts.records, name)
    return record.state.kind !== 'running' && latestExit(record) === undefined
  })
  return neverRan ? 'Pending' : 'Running'
}

/** Kubernetes' times have whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** As Go prints durations: 10s, 1m20s, 5m0s, 200ms. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
