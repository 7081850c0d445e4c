import type { ResourceCatalog } from './kinds/catalog.ts'
import type { Store } from './store.ts'

/** What the kubelet part is asked for when somebody reads a pod's log. */
export interface PodLogOptions {
  readonly container: string | undefined
  readonly follow: boolean
  readonly previous: boolean
  readonly timestamps: boolean
  readonly tailLines: number | undefined
  readonly sinceSeconds: number | undefined
  readonly limitBytes: number | undefined
  readonly signal: AbortSignal
}

export type PodLogs = (namespace: string, pod: string, options: PodLogOptions) => AsyncIterable<Uint8Array>

/** Everything that the handlers of one API server share. */
export interface Cluster {
  readonly store: Store
  readonly catalog: ResourceCatalog
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  readonly podLogs: PodLogs | undefined
}

/** RFC 3339 in whole seconds, as metav1.Time is written. */
export function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}
