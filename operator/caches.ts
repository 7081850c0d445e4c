import type { V1EndpointSlice, V1Pod } from '@kubernetes/client-node'
import { GROUP, KIND, VERSION, type ModelDeployment } from './api/resource.ts'
import { MANAGED_BY, NAME_LABEL } from './core/children/object.ts'
import type { Client } from './kube/client.ts'
import type { Log } from './kube/log.ts'
import { createReflector, type Reflector, type ReflectorMetrics } from './kube/reflector.ts'
import type { KubeObject, Resource } from './kube/resource.ts'
import {
  CONFIG_MAP,
  CONTROLLER_REVISION,
  DEPLOYMENT,
  ENDPOINT_SLICE,
  HORIZONTAL_POD_AUTOSCALER,
  JOB,
  POD,
  POD_DISRUPTION_BUDGET,
  SERVICE,
  resource,
} from './kube/resources.ts'
import { mountOf } from './pod-state.ts'
import type { Key } from './reconcile.ts'

export const MODEL_DEPLOYMENT = resource<ModelDeployment>(`${GROUP}/${VERSION}`, KIND, 'modeldeployments')

/** Every kind that Penstock owns, in the order in which what is no longer wanted is deleted: an HPA before its Deployment. */
export const OWNED_RESOURCES = {
  HorizontalPodAutoscaler: HORIZONTAL_POD_AUTOSCALER,
  PodDisruptionBudget: POD_DISRUPTION_BUDGET,
  Deployment: DEPLOYMENT,
  Job: JOB,
  Service: SERVICE,
  ConfigMap: CONFIG_MAP,
  ControllerRevision: CONTROLLER_REVISION,
} as const
export type OwnedKind = keyof typeof OWNED_RESOURCES
export const OWNED_KINDS = Object.keys(OWNED_RESOURCES) as readonly OwnedKind[]

type ObjectOf<R> = R extends Resource<infer T> ? T : never
export type OwnedObject<K extends OwnedKind> = ObjectOf<(typeof OWNED_RESOURCES)[K]>

export interface Caches {
  modelDeployment(key: Key): ModelDeployment | undefined
  /** Objects of one kind that carry the labels of this ModelDeployment. */
  owned<K extends OwnedKind>(kind: K, key: Key): readonly OwnedObject<K>[]
  /** Pods of its revisions and of its resolve Jobs. */
  pods(key: Key): readonly V1Pod[]
  /** Of its Services; Kubernetes gives them the labels of their Service. */
  endpointSlices(key: Key): readonly V1EndpointSlice[]
  start(): void
  stop(): Promise<void>
  readonly synced: Promise<void>
  hasSynced(): boolean
  /** The longest silence of any watch, in milliseconds. */
  silentForMs(): number
}

export interface CachesOptions {
  readonly client: Client
  /** Without it: all namespaces. */
  readonly namespace?: string
  /** Called with the ModelDeployment that a change belongs to. */
  readonly onChange: (key: Key) => void
  readonly log: Log
  readonly metrics?: ReflectorMetrics
}

const BY_OWNER = 'modelDeployment'
const CHILD_SELECTOR = `app.kubernetes.io/managed-by=${MANAGED_BY},${NAME_LABEL}`

/**
 * What the operator keeps in memory: ModelDeployments, the children it labelled, and their pods without what nobody reads. Never a
 * Secret, and nothing of anybody else's.
 */
export function createCaches(options: CachesOptions): Caches {
  const { client, namespace, onChange, log, metrics } = options
  const common = {
    client,
    log,
    ...(namespace !== undefined && { namespace }),
    ...(metrics !== undefined && { metrics }),
  }
  const modelDeployments = createReflector({ ...common, resource: MODEL_DEPLOYMENT, prune: withoutManagedFields })
  const children = <T extends KubeObject>(resource: Resource<T>, prune?: (object: T) => T) =>
    createReflector<T>({
      ...common,
      resource,
      labelSelector: CHILD_SELECTOR,
      indexes: { [BY_OWNER]: (object) => [ownerKey(object)] },
      ...(prune !== undefined && { prune }),
    })
  const pods = children(POD, prunePod)
  const endpointSlices = children(ENDPOINT_SLICE, withoutManagedFields)
  const owned = Object.fromEntries(
    OWNED_KINDS.map((kind) => [kind, children<KubeObject>(OWNED_RESOURCES[kind])]),
  ) as Record<OwnedKind, Reflector<KubeObject>>
  const all: readonly Reflector<never>[] = [modelDeployments, pods, endpointSlices, ...Object.values(owned)] as never
  const tellOwner = ({ object }: { object: KubeObject }) => onChange(keyOfOwner(object))
  modelDeployments.store.subscribe(({ object }) =>
    onChange({ namespace: object.metadata.namespace, name: object.metadata.name }),
  )
  for (const reflector of [
    pods as Reflector<KubeObject>,
    endpointSlices as Reflector<KubeObject>,
    ...Object.values(owned),
  ])
    reflector.store.subscribe(tellOwner)
  return {
    modelDeployment: (key) => modelDeployments.store.get(key),
    owned: <K extends OwnedKind>(kind: K, key: Key) =>
      owned[kind].store.byIndex(BY_OWNER, textOf(key)) as readonly OwnedObject<K>[],
    pods: (key) => pods.store.byIndex(BY_OWNER, textOf(key)),
    endpointSlices: (key) => endpointSlices.store.byIndex(BY_OWNER, textOf(key)),
    start: () => all.forEach((reflector) => reflector.start()),
    stop: async () => {
      await Promise.all(all.map((reflector) => reflector.stop()))
    },
    synced: Promise.all(all.map((reflector) => reflector.synced)).then(() => undefined),
    hasSynced: () => all.every((reflector) => reflector.hasSynced()),
    silentForMs: () => Math.max(...all.map((reflector) => reflector.silentForMs())),
  }
}

export function textOf({ namespace, name }: Key): string {
  return `${namespace}/${name}`
}

function keyOfOwner({ metadata }: KubeObject): Key {
  return { namespace: metadata?.namespace ?? '', name: metadata?.labels?.[NAME_LABEL] ?? '' }
}

function ownerKey(object: KubeObject): string {
  return textOf(keyOfOwner(object))
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _unread, ...metadata } = object.metadata ?? {}
  return { ...object, metadata }
}

/** A pod's spec is in its ControllerRevision already; here only who it is, how it does and what it may wait for counts. */
function prunePod(pod: V1Pod): V1Pod {
  const { metadata, status, spec } = withoutManagedFields(pod)
  const volumes = (spec?.volumes ?? []).filter((volume) => mountOf(volume) !== undefined)
  return {
    ...(metadata !== undefined && { metadata }),
    ...(status !== undefined && { status }),
    ...(volumes.length > 0 && { spec: { containers: [], volumes } }),
  }
}
