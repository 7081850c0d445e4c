import type {
  EventsV1Event,
  V1ConfigMap,
  V1ControllerRevision,
  V1CustomResourceDefinition,
  V1Deployment,
  V1EndpointSlice,
  V1Job,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node'
import type { KubeObject, Resource } from './resource.ts'

/** Describes a resource of any group, for example a custom one; `groupVersion` is `v1` or `apps/v1`. */
export function resource<T extends KubeObject>(
  groupVersion: string,
  kind: string,
  plural: string,
  scope: 'Namespaced' | 'Cluster' = 'Namespaced',
): Resource<T> {
  const slash = groupVersion.indexOf('/')
  return {
    group: groupVersion.slice(0, Math.max(slash, 0)),
    version: groupVersion.slice(slash + 1),
    kind,
    plural,
    namespaced: scope === 'Namespaced',
  }
}

/** The same resource read as another type of object: one that names only the fields that its reader needs. */
export function readAs<T extends KubeObject>({ objectType: _, ...rest }: Resource): Resource<T> {
  return rest
}

export const POD = resource<V1Pod>('v1', 'Pod', 'pods')
export const SERVICE = resource<V1Service>('v1', 'Service', 'services')
export const CONFIG_MAP = resource<V1ConfigMap>('v1', 'ConfigMap', 'configmaps')
export const SECRET = resource<V1Secret>('v1', 'Secret', 'secrets')
export const SERVICE_ACCOUNT = resource<V1ServiceAccount>('v1', 'ServiceAccount', 'serviceaccounts')
export const NODE = resource<V1Node>('v1', 'Node', 'nodes', 'Cluster')
export const NAMESPACE = resource<V1Namespace>('v1', 'Namespace', 'namespaces', 'Cluster')
export const EVENT = resource<EventsV1Event>('events.k8s.io/v1', 'Event', 'events')
export const DEPLOYMENT = resource<V1Deployment>('apps/v1', 'Deployment', 'deployments')
export const REPLICA_SET = resource<V1ReplicaSet>('apps/v1', 'ReplicaSet', 'replicasets')
export const CONTROLLER_REVISION = resource<V1ControllerRevision>(
  'apps/v1',
  'ControllerRevision',
  'controllerrevisions',
)
export const JOB = resource<V1Job>('batch/v1', 'Job', 'jobs')
export const HORIZONTAL_POD_AUTOSCALER = resource<V2HorizontalPodAutoscaler>(
  'autoscaling/v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const POD_DISRUPTION_BUDGET = resource<V1PodDisruptionBudget>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
)
export const ENDPOINT_SLICE = resource<V1EndpointSlice>('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices')
export const LEASE = resource<V1Lease>('coordination.k8s.io/v1', 'Lease', 'leases')
export const HTTP_ROUTE = resource<HttpRoute>('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes')
export const CUSTOM_RESOURCE_DEFINITION = resource<V1CustomResourceDefinition>(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  'Cluster',
)

/** The Gateway API is not in client-node; these are the fields that traffic splitting needs. */
export interface HttpRoute extends KubeObject {
  readonly spec?: {
    readonly parentRefs?: readonly Readonly<Record<string, unknown>>[]
    readonly hostnames?: readonly string[]
    readonly rules?: readonly HttpRouteRule[]
  }
  readonly status?: {
    readonly parents?: readonly {
      readonly parentRef: Readonly<Record<string, unknown>>
      readonly controllerName: string
      readonly conditions?: readonly { type: string; status: string; reason?: string; observedGeneration?: number }[]
    }[]
  }
}

export interface HttpRouteRule {
  readonly name?: string
  readonly backendRefs?: readonly { readonly name: string; readonly port?: number; readonly weight?: number }[]
  readonly [field: string]: unknown
}
