import type { V1Pod } from '@kubernetes/client-node'
import { FETCH_CONTAINER, REVISION_LABEL } from '../../operator/core/children/object.ts'
import type { Client } from '../../operator/kube/client.ts'
import { createReflector } from '../../operator/kube/reflector.ts'
import { POD } from '../../operator/kube/resources.ts'

/** Every pod that was ever made for a revision, also those that went again. */
export interface PodLog {
  /** How many pods of this revision were ever seen. */
  everMade(revision: string): number
  /** Digests that the pods of this revision accept, each once. */
  pinnedDigests(revision: string): readonly string[]
  stop(): Promise<void>
}

export async function startPodLog(client: Client, namespace: string): Promise<PodLog> {
  const pods = new Map<string, V1Pod>()
  const reflector = createReflector({ client, resource: POD, namespace, labelSelector: REVISION_LABEL })
  reflector.store.subscribe(({ object }) => pods.set(object.metadata?.uid ?? '', object))
  reflector.start()
  await reflector.synced
  const of = (revision: string) =>
    [...pods.values()].filter((pod) => pod.metadata?.labels?.[REVISION_LABEL] === revision)
  return {
    everMade: (revision) => of(revision).length,
    pinnedDigests: (revision) => [...new Set(of(revision).map(pinnedDigest))],
    stop: () => reflector.stop(),
  }
}

function pinnedDigest(pod: V1Pod): string {
  const fetch = pod.spec?.initContainers?.find(({ name }) => name === FETCH_CONTAINER)
  return fetch?.args?.find((arg) => arg.startsWith('--sha256='))?.slice('--sha256='.length) ?? 'none'
}
