import type { V1ContainerStatus, V1Pod, V1Volume } from '@kubernetes/client-node'
import type { ResolveResult } from '../protocol/resolve.ts'
import { NUDGE_ANNOTATION, RESOLVE_LABEL } from './core/children/object.ts'
import { resolveJobName } from './core/children/resolve-job.ts'
import type { Instant } from './core/instant.ts'
import type { PodSeen } from './core/observation.ts'

const MAX_PROBLEM_LENGTH = 300
/** What ought to happen at once, and has not for so long, has a reason. */
export const PATIENCE_MS = 20_000

/** What the core wants to know of a pod, but for its evidence. */
export function podSeen(pod: V1Pod, now: Instant): PodSeen {
  const { metadata = {}, status = {} } = pod
  const ready = status.conditions?.find((condition) => condition.type === 'Ready')
  const problem = podProblem(pod, now)
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

/** What stands in a pod's way, as far as possible in the words of the scheduler or the kubelet; undefined when nothing does. */
export function podProblem(pod: V1Pod, now: Instant): string | undefined {
  const unscheduled = pod.status?.conditions?.find((each) => each.type === 'PodScheduled' && each.status === 'False')
  if (unscheduled !== undefined)
    return shortened(`${unscheduled.reason ?? 'Unschedulable'}: ${unscheduled.message ?? ''}`)
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  for (const status of statuses) {
    const problem = containerProblem(status)
    if (problem !== undefined) return shortened(`container ${status.name}: ${problem}`)
  }
  return waitsForMounts(pod, statuses, now) ? shortened(mountProblem(pod)) : undefined
}

/**
 * The kubelet says only in Events which volume it waits for. Once it has them all the pod is ready to start containers, and what takes
 * long then is an image.
 */
function waitsForMounts({ status }: V1Pod, containers: readonly V1ContainerStatus[], now: Instant): boolean {
  const conditionOf = (type: string) => status?.conditions?.find((each) => each.type === type)
  const scheduledAt = instantOf(conditionOf('PodScheduled')?.lastTransitionTime)
  const hasBegun = containers.some(
    ({ state, lastState }) => state?.running ?? state?.terminated ?? lastState?.terminated,
  )
  const isReadyToStart = conditionOf('PodReadyToStartContainers')?.status === 'True'
  return scheduledAt !== undefined && now - scheduledAt >= PATIENCE_MS && !hasBegun && !isReadyToStart
}

function mountProblem({ metadata, spec }: V1Pod): string {
  const mounts = (spec?.volumes ?? []).flatMap((volume) => mountOf(volume) ?? [])
  const cause = mounts.length === 0 ? '' : `; it mounts ${mounts.join(', ')}, which may be missing`
  return `no container has begun${cause} (see the Events of pod ${metadata?.name ?? ''})`
}

/** What somebody else must provide for a volume, `Secret fraud-tls`; undefined where a pod can begin without it. */
export function mountOf({ secret, configMap, persistentVolumeClaim }: V1Volume): string | undefined {
  if (secret?.secretName !== undefined && secret.optional !== true) return `Secret ${secret.secretName}`
  if (configMap?.name !== undefined && configMap.optional !== true) return `ConfigMap ${configMap.name}`
  return persistentVolumeClaim && `PersistentVolumeClaim ${persistentVolumeClaim.claimName}`
}

const ORDINARY_WAITING = ['ContainerCreating', 'PodInitializing']

function containerProblem(status: V1ContainerStatus): string | undefined {
  const { waiting, terminated } = status.state ?? {}
  const failed = [terminated, status.lastState?.terminated].find((each) => each !== undefined && each.exitCode !== 0)
  const ending = failed && `${failed.reason ?? 'Error'} (exit code ${failed.exitCode})${saying(failed.message)}`
  if (waiting?.reason !== undefined && !ORDINARY_WAITING.includes(waiting.reason)) {
    return [`${waiting.reason}${waiting.message ? `: ${waiting.message}` : ''}`, ending]
      .filter((each) => each !== undefined)
      .join('; ')
  }
  return ending
}

/** Continuation lines of a stack or a value, and what Node.js ends with. */
const LITTLE_SAYING = /^(\s|Node\.js v|[\^{}[\]]*$)/

/** The last line of what a container left, which is its log where it left nothing else; of a line of pino, what it says. */
function saying(message: string | undefined): string {
  const lines = (message ?? '').split('\n').filter((line) => line.trim() !== '')
  const last = lines.findLast((line) => !LITTLE_SAYING.test(line)) ?? lines.at(-1)
  return last === undefined ? '' : `: ${pinoMessageOf(last) ?? last.trim()}`
}

/** pino writes `msg` last, so it is there even if the beginning of a long line was cut off. */
function pinoMessageOf(line: string): string | undefined {
  const quoted = /"msg":("(?:[^"\\]|\\.)*")\}$/.exec(line.trim())?.[1]
  if (quoted === undefined) return undefined
  try {
    return JSON.parse(quoted) as string
  } catch {
    return undefined
  }
}

/** What the container of a resolve Job said when it ended; undefined while it has not. */
export function resolveResultOf(pod: V1Pod): ResolveResult | undefined {
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated
  if (terminated === undefined) return undefined
  const interrupted: ResolveResult = {
    ok: false,
    reason: 'Interrupted',
    message: `the resolve container ended (${terminated.reason ?? 'Error'}, exit code ${terminated.exitCode}) without an answer${saying(terminated.message)}; see the logs of Job ${resolveJobName(pod.metadata?.labels?.[RESOLVE_LABEL] ?? '')}`,
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
  const { ok, uri, sha256, dataSha256, contract, reason, message } = said as Readonly<Record<string, unknown>>
  if (ok === false) return typeof reason === 'string' && typeof message === 'string'
  return (
    ok === true &&
    isDigest(sha256) &&
    (dataSha256 === undefined || isDigest(dataSha256)) &&
    typeof uri === 'string' &&
    uri !== '' &&
    typeof contract === 'object' &&
    contract !== null
  )
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
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

export function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= MAX_PROBLEM_LENGTH ? line : `${line.slice(0, MAX_PROBLEM_LENGTH - 1)}…`
}
