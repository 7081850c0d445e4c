import type { Client } from '../../operator/kube/client.ts'
import type { Log } from '../../operator/kube/log.ts'
import type { AddressAllocator } from './addresses.ts'
import type { ProcessLedger } from './container/process-ledger.ts'
import type { EventRecorder } from './events.ts'
import type { BackOffPolicy } from './pod/back-off.ts'
import type { ConfigSource } from './pod/config-source.ts'
import type { Directories } from './volumes/directories.ts'

export interface KubeletTiming {
  /** Of crashing containers and of image pulls. Default 10 s doubling to 300 s. */
  readonly backOff: BackOffPolicy
  /** How long after a change of a ConfigMap or Secret the volumes show it, at least; an update of the pod itself is at once. Default 10 s. */
  readonly refreshMs: number
  /** Up to so much is added to `refreshMs` at random. Default 5 s. */
  readonly refreshJitterMs: number
  /** Before anything else that failed is tried again. Default 2 s. */
  readonly retryMs: number
  /** What containers get to end when the kubelet closes. Default 3 s. */
  readonly closeGraceMs: number
}

export const DEFAULT_TIMING: KubeletTiming = {
  backOff: { baseMs: 10_000, maxMs: 300_000 },
  refreshMs: 10_000,
  refreshJitterMs: 5_000,
  retryMs: 2_000,
  closeGraceMs: 3_000,
}

/** What all pods of one kubelet share. */
export interface NodeContext {
  readonly client: Client
  readonly log: Log
  readonly hostIP: string
  readonly directories: Directories
  readonly ledger: ProcessLedger
  /** What each image runs. */
  readonly images: Readonly<Record<string, readonly string[]>>
  readonly addresses: AddressAllocator
  readonly config: ConfigSource
  readonly events: EventRecorder
  readonly timing: KubeletTiming
  /** Of one log file; one older file is kept. */
  readonly maxLogBytes: number
}
