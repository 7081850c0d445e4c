import { ApiError } from '../../operator/kube/errors.ts'
import type { Collection } from './collection.ts'
import type { KubeObject, NewObject, Pod, PodTemplate } from './objects.ts'
import { controllerReference, type OwnerKind } from './ownership.ts'
import { slowStartBatches } from './replicaset/plan.ts'

/** A pod as its owner's template says, controlled by the owner. The API server completes the name. */
export function podFrom(template: PodTemplate, owner: KubeObject, kind: OwnerKind): NewObject<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  const { name, namespace } = owner.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner, kind)],
    },
    spec: template.spec,
  }
}

/**
 * Creates so many pods, slowly at first; stops at the first batch of which the API server refused one.
 *
 * @throws the first refusal, unless it is that the namespace is on its way out, when there is nothing more to do.
 */
export async function createPods(pods: Collection<Pod>, pod: NewObject<Pod>, count: number): Promise<void> {
  for (const size of slowStartBatches(count)) {
    const results = await Promise.allSettled(Array.from({ length: size }, () => pods.create(pod)))
    const refused = results.find((result) => result.status === 'rejected')
    if (refused === undefined) continue
    if (isNamespaceGoing(refused.reason)) return
    throw refused.reason
  }
}

function isNamespaceGoing(error: unknown): boolean {
  return error instanceof ApiError && error.causes.some(({ reason }) => reason === 'NamespaceTerminating')
}
