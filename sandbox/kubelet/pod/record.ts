import type { Container, Pod } from '../objects.ts'
import type { BackOff } from './back-off.ts'

/** How a container ended. */
export interface Exit {
  /** As a shell tells it: 128 + signal number for one that a signal ended. */
  readonly exitCode: number
  readonly reason: string
  readonly message?: string
  /** 0 when it could not even start. */
  readonly startedAtMs: number
  readonly finishedAtMs: number
  readonly containerID: string
}

export type ContainerState =
  | { readonly kind: 'none' }
  /** It could not be created; the next try is at `retryAtMs`. */
  | {
      readonly kind: 'refused'
      readonly reason: string
      readonly message: string
      readonly atMs: number
      readonly retryAtMs: number
    }
  | { readonly kind: 'running'; readonly startedAtMs: number; readonly containerID: string }
  | { readonly kind: 'exited'; readonly exit: Exit }

/** What the kubelet knows of one container of one pod. */
export interface ContainerRecord {
  readonly state: ContainerState
  readonly restartCount: number
  /** How it ended the time before: of an exited container, the run before the last one. */
  readonly last?: Exit
  readonly backOff?: BackOff
  /** The startup probe passed, or there is none and the process runs. */
  readonly started: boolean
  /** What the readiness probe says; true without one. */
  readonly probedReady: boolean
}

export type Records = ReadonlyMap<string, ContainerRecord>

export const NEW_RECORD: ContainerRecord = {
  state: { kind: 'none' },
  restartCount: 0,
  started: false,
  probedReady: false,
}

export function recordOf(records: Records, name: string): ContainerRecord {
  return records.get(name) ?? NEW_RECORD
}

/** An init container that keeps running beside the others (KEP-753). */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always'
}

export function sidecarsOf(pod: Pod): Container[] {
  return (pod.spec.initContainers ?? []).filter(isSidecar)
}

export function allContainers(pod: Pod): Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
}

export function isRunning(record: ContainerRecord): boolean {
  return record.state.kind === 'running'
}

/** The end of its latest run, if it does not run now. */
export function latestExit(record: ContainerRecord): Exit | undefined {
  switch (record.state.kind) {
    case 'exited':
      return record.state.exit
    case 'none':
    case 'refused':
      return record.last
    case 'running':
      return undefined
    default:
      return record.state satisfies never
  }
}
