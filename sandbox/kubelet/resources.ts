import { CONFIG_MAP, POD, SECRET, readAs, resource } from '../../operator/kube/resources.ts'
import type { KubeObject } from '../../operator/kube/resource.ts'
import type { ConfigMap, Pod, Secret } from './objects.ts'

export const PODS = readAs<Pod>(POD)
export const CONFIG_MAPS = readAs<ConfigMap>(CONFIG_MAP)
export const SECRETS = readAs<Secret>(SECRET)

/** A create of `pods/<name>/binding`. */
export interface Binding extends KubeObject {
  readonly target: { readonly apiVersion: string; readonly kind: string; readonly name: string }
}

export const BINDINGS = resource<Binding>('v1', 'Binding', 'pods')

/** The Event of the core group, as kubelets write it. */
export interface CoreEvent extends KubeObject {
  readonly involvedObject?: object
  readonly reason?: string
  readonly message?: string
  readonly type?: string
  readonly source?: object
  readonly firstTimestamp?: string
  readonly lastTimestamp?: string
  readonly count?: number
  readonly reportingComponent?: string
  readonly reportingInstance?: string
}

export const CORE_EVENTS = resource<CoreEvent>('v1', 'Event', 'events')
