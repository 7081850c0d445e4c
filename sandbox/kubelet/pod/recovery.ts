import type { Container, ContainerStatus, Pod, Terminated } from '../objects.ts'
import { allContainers, isSidecar, NEW_RECORD } from './record.ts'
import type { ContainerRecord, Exit, Records } from './record.ts'

/** What a real kubelet reports for a container that it finds neither running nor ended. */
const LOST = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
}

/**
 * What is known of a pod that an earlier kubelet ran: its processes ended with that kubelet. Restart counts go on, init containers
 * run again (as after a node's restart), and what was running has ended in an unknown way, so that the restart policy decides.
 */
export function recoveredRecords(pod: Pod, nowMs: number): Records {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  return new Map(
    allContainers(pod).flatMap((container) => {
      const status = statuses.find(({ name }) => name === container.name)
      return status === undefined ? [] : [[container.name, recovered(pod, container, status, nowMs)] as const]
    }),
  )
}

function recovered(pod: Pod, container: Container, status: ContainerStatus, nowMs: number): ContainerRecord {
  const base = { ...NEW_RECORD, restartCount: status.restartCount }
  const { running, terminated } = status.state
  const last = terminated ?? status.lastState.terminated
  const isPlainInit = pod.spec.initContainers?.includes(container) === true && !isSidecar(container)
  if (running === undefined && terminated === undefined)
    return last === undefined ? base : { ...base, last: exitOf(last) }
  if (isPlainInit) return { ...base, ...(last !== undefined && { last: exitOf(last) }) }
  if (terminated !== undefined) return { ...base, state: { kind: 'exited', exit: exitOf(terminated) } }
  const lost: Exit = {
    ...LOST,
    startedAtMs: Date.parse(running?.startedAt ?? '') || 0,
    finishedAtMs: nowMs,
    containerID: status.containerID ?? '',
  }
  return { ...base, state: { kind: 'exited', exit: lost } }
}

function exitOf(terminated: Terminated): Exit {
  return {
    exitCode: terminated.exitCode,
    reason: terminated.reason,
    ...(terminated.message !== undefined && { message: terminated.message }),
    startedAtMs: Date.parse(terminated.startedAt) || 0,
    finishedAtMs: Date.parse(terminated.finishedAt) || 0,
    containerID: terminated.containerID ?? '',
  }
}
