import type { Client } from '../../operator/kube/client.ts'
import type { KubeObject as AnyObject } from '../../operator/kube/resource.ts'
import type { Log } from '../../operator/kube/log.ts'
import * as resources from '../../operator/kube/resources.ts'
import { readAs } from '../../operator/kube/resources.ts'
import type { HorizontalPodAutoscaler } from './autoscaling/objects.ts'
import { Collection } from './collection.ts'
import type * as objects from './objects.ts'

/** What every controller works with. */
export interface World {
  readonly client: Client
  readonly log: Log
  readonly nowMs: () => number
  readonly pods: Collection<objects.Pod>
  readonly replicaSets: Collection<objects.ReplicaSet>
  readonly deployments: Collection<objects.Deployment>
  readonly jobs: Collection<objects.Job>
  readonly services: Collection<objects.Service>
  readonly endpointSlices: Collection<objects.EndpointSlice>
  readonly budgets: Collection<objects.PodDisruptionBudget>
  readonly autoscalers: Collection<HorizontalPodAutoscaler>
  readonly namespaces: Collection<objects.Namespace>
  /** Only those called `default`. */
  readonly serviceAccounts: Collection<objects.KubeObject>
  /** Only those called `kube-root-ca.crt`. */
  readonly rootCertificates: Collection<objects.ConfigMap>
  readonly customResourceDefinitions: Collection<objects.KubeObject>
}

export const DEFAULT_SERVICE_ACCOUNT = 'default'
export const ROOT_CERTIFICATE = 'kube-root-ca.crt'

export function createWorld(base: { client: Client; log: Log; nowMs: () => number }): World {
  const collection = <T extends objects.KubeObject>(
    resource: Parameters<typeof readAs>[0],
    fieldSelector?: string,
  ): Collection<T> =>
    new Collection<T>(readAs<T & AnyObject>(resource), {
      ...base,
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    })
  return {
    ...base,
    pods: collection(resources.POD),
    replicaSets: collection(resources.REPLICA_SET),
    deployments: collection(resources.DEPLOYMENT),
    jobs: collection(resources.JOB),
    services: collection(resources.SERVICE),
    endpointSlices: collection(resources.ENDPOINT_SLICE),
    budgets: collection(resources.POD_DISRUPTION_BUDGET),
    autoscalers: collection(resources.HORIZONTAL_POD_AUTOSCALER),
    namespaces: collection(resources.NAMESPACE),
    serviceAccounts: collection(resources.SERVICE_ACCOUNT, `metadata.name=${DEFAULT_SERVICE_ACCOUNT}`),
    rootCertificates: collection(resources.CONFIG_MAP, `metadata.name=${ROOT_CERTIFICATE}`),
    customResourceDefinitions: collection(resources.CUSTOM_RESOURCE_DEFINITION),
  }
}

export function collectionsOf(world: World): Pick<Collection<objects.KubeObject>, 'start' | 'stop'>[] {
  return Object.values(world).filter((member) => member instanceof Collection)
}
