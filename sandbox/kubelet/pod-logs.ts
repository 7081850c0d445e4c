import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readLog } from './container/log-reader.ts'
import type { LogReadOptions } from './container/log-reader.ts'
import type { ContainerStatus, Pod } from './objects.ts'
import { allContainers } from './pod/record.ts'
import type { PodWorker } from './pod-worker.ts'
import type { Directories } from './volumes/directories.ts'

export interface PodLogOptions extends LogReadOptions {
  /** May be left out when the pod has only one container. */
  readonly container?: string
  /** The run before the present one. */
  readonly previous?: boolean
}

/** A question about logs that has no answer; `code` is what an API server answers it with. */
export class LogsError extends Error {
  readonly code: 400 | 404

  constructor(code: 400 | 404, message: string) {
    super(message)
    this.name = 'LogsError'
    this.code = code
  }
}

/** The log of one container of a pod that runs here. @throws LogsError in the words of the Kubernetes API */
export function podLogs(
  worker: PodWorker,
  directories: Directories,
  options: PodLogOptions,
): AsyncIterable<Uint8Array> {
  const { pod } = worker
  const container = containerOf(pod, options.container)
  const status = statusOf(worker, container)
  const { restartCount = 0 } = status ?? {}
  const run = worker.runs.get(container)
  const directory = directories.container(pod.metadata.uid, container)
  const count = options.previous === true ? restartCount - 1 : restartCount
  const path = join(directory, `${count}.log`)
  if (existsSync(path)) return readLog(path, run?.log.path === path ? run.log : undefined, options)
  const subject = `container "${container}" in pod "${pod.metadata.name}"`
  if (options.previous === true) throw new LogsError(400, `previous terminated ${subject} not found`)
  const reason = status?.state.waiting?.reason ?? 'ContainerCreating'
  throw new LogsError(400, `${subject} is waiting to start: ${reason}`)
}

function containerOf(pod: Pod, wanted: string | undefined): string {
  const names = allContainers(pod).map(({ name }) => name)
  const mains = pod.spec.containers.map(({ name }) => name)
  if (wanted === undefined && mains[0] !== undefined && names.length === 1) return mains[0]
  if (wanted !== undefined && names.includes(wanted)) return wanted
  const { name } = pod.metadata
  if (wanted !== undefined) throw new LogsError(400, `container ${wanted} is not valid for pod ${name}`)
  const choice =
    mains.length === names.length
      ? `[${names.join(' ')}]`
      : `[${mains.join(' ')}] or one of the init containers: [${names.filter((each) => !mains.includes(each)).join(' ')}]`
  throw new LogsError(400, `a container name must be specified for pod ${name}, choose one of: ${choice}`)
}

function statusOf({ shown }: PodWorker, container: string): ContainerStatus | undefined {
  const statuses = [...(shown.initContainerStatuses ?? []), ...(shown.containerStatuses ?? [])]
  return statuses.find(({ name }) => name === container)
}
