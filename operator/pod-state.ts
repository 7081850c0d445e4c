import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node'
import type { ResolveResult } from '../protocol/resolve.ts'
import { NUDGE_ANNOTATION } from './core/children/object.ts'
import type { Instant } from './core/instant.ts'
import type { PodSeen } from './core/observation.ts'

const MAX_PROBLEM_LENGTH = 300

/** What the core wants to know of a pod, but for its evidence. */
export function podSeen(pod: V1Pod): PodSeen {
  const { metadata = {}, status = {} } = pod
  const ready = status.conditions?.find((condition) => condition.type === 'Ready')
  const problem = podProblem(pod)
  const nudge = metadata.annotations?.[NUDGE_ANNOTATION]
  return {
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    ready: ready?.status === 'True',
    readyChangedAt: instantOf(ready?.lastTransitionTime) ?? instantOf(metadata.creationTimestamp) ?? 0,
    ...restartsOf(status.containerStatuses ?? []),
    ...(problem !== undefined && { problem }),
    ...(nudge !== undefined && { nudge }),
  }
}

function restartsOf(containers: readonly V1ContainerStatus[]): Pick<PodSeen, 'restarts' | 'restartedAt'> {
  const restarts = containers.reduce((sum, each) => sum + each.restartCount, 0)
  const restartedAt = latest(containers.map((each) => instantOf(each.lastState?.terminated?.finishedAt)))
  return { restarts, ...(restartedAt !== undefined && { restartedAt }) }
}

export function isTerminating(pod: V1Pod): boolean {
  return (
    pod.metadata?.deletionTimestamp !== undefined || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
  )
}

/** What stands in a pod's way, in the words of the scheduler or the kubelet; undefined when nothing does. */
export function podProblem(pod: V1Pod): string | undefined {
  const unscheduled = pod.status?.conditions?.find((each) => each.type === 'PodScheduled' && each.status === 'False')
  if (unscheduled !== undefined)
    return shortened(`${unscheduled.reason ?? 'Unschedulable'}: ${unscheduled.message ?? ''}`)
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  for (const status of statuses) {
    const problem = containerProblem(status)
    if (problem !== undefined) return shortened(`container ${status.name}: ${problem}`)
  }
  return undefined
}

const ORDINARY_WAITING = ['ContainerCreating', 'PodInitializing']

function containerProblem(status: V1ContainerStatus): string | undefined {
  const { waiting, terminated } = status.state ?? {}
  const failed = [terminated, status.lastState?.terminated].find((each) => each !== undefined && each.exitCode !== 0)
  const ending =
    failed && `${failed.reason ?? 'Error'} (exit code ${failed.exitCode})${failed.message ? `: ${failed.message}` : ''}`
  if (waiting?.reason !== undefined && !ORDINARY_WAITING.includes(waiting.reason)) {
    return [`${waiting.reason}${waiting.message ? `: ${waiting.message}` : ''}`, ending]
      .filter((each) => each !== undefined)
      .join('; ')
  }
  return ending
}

/** What the container of a resolve Job said when it ended; undefined while it has not. */
export function resolveResultOf(pod: V1Pod): ResolveResult | undefined {
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated
  if (terminated === undefined) return undefined
  const interrupted: ResolveResult = {
    ok: false,
    reason: 'Interrupted',
    message: `the resolve container ended (${terminated.reason ?? 'Error'}, exit code ${terminated.exitCode}) without saying why; see the logs of pod ${pod.metadata?.name ?? ''}`,
  }
  try {
    const said = JSON.parse(terminated.message ?? '') as Readonly<Record<string, unknown>> | null
    return isResolveResult(said) ? said : interrupted
  } catch {
    return interrupted
  }
}

/** The container may be a user's image, so what decides anything is checked: a digest ends in pods' arguments. */
function isResolveResult(said: unknown): said is ResolveResult {
  if (typeof said !== 'object' || said === null) return false
  const { ok, uri, sha256, contract, reason, message } = said as Readonly<Record<string, unknown>>
  if (ok === false) return typeof reason === 'string' && typeof message === 'string'
  const isDigest = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)
  return (
    ok === true &&
    isDigest &&
    typeof uri === 'string' &&
    uri !== '' &&
    typeof contract === 'object' &&
    contract !== null
  )
}

/** Times are strings as the API server sends them, whatever the types of the client say. */
export function instantOf(time: unknown): Instant | undefined {
  if (time === undefined || time === null) return undefined
  const instant = time instanceof Date ? time.getTime() : typeof time === 'string' ? Date.parse(time) : NaN
  return Number.isNaN(instant) ? undefined : instant
}

function latest(instants: readonly (Instant | undefined)[]): Instant | undefined {
  const known = instants.filter((each) => each !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_PROBLEM_LENGTH ? line : `${line.slice(0, MAX_PROBLEM_LENGTH - 1)}…`
}
