import { ApiError, isNotFound } from '../../../operator/kube/errors.ts'
import type { Client } from '../../../operator/kube/client.ts'
import type { KubeObject as AnyObject, ObjectName, Resource } from '../../../operator/kube/resource.ts'
import { resourceOfKind } from '../discovery.ts'
import type { OwnerReference } from '../objects.ts'
import type { Node, Propagation } from './plan.ts'

/** Keeps of an object what the collector looks at. */
export function metadataOnly<T extends AnyObject>(object: T): T {
  const { name, namespace, uid, resourceVersion, ownerReferences, deletionTimestamp, finalizers } =
    object.metadata as Metadata
  return {
    metadata: { name, namespace, uid, resourceVersion, ownerReferences, deletionTimestamp, finalizers },
  } as unknown as T
}

type Metadata = NonNullable<AnyObject['metadata']> & { readonly finalizers?: readonly string[] }

export function nodeOf(resource: Resource, object: AnyObject): Node {
  const {
    name = '',
    namespace,
    uid = '',
    resourceVersion = '',
    ownerReferences,
    deletionTimestamp,
    finalizers,
  } = object.metadata as Metadata
  return {
    resource,
    name,
    namespace,
    uid,
    resourceVersion,
    owners: ownerReferences ?? [],
    finalizers: finalizers ?? [],
    isDeleting: deletionTimestamp !== undefined,
  }
}

function objectName({ namespace, name }: Pick<Node, 'namespace' | 'name'>): ObjectName {
  return namespace === undefined ? { name } : { namespace, name }
}

/** Deletes exactly the object that was judged: not one of the same name that came after it, nor one that changed since. */
export async function deleteNode(client: Client, node: Node, propagation: Propagation): Promise<void> {
  const { uid, resourceVersion } = node
  await unlessGone(
    client.delete(node.resource, objectName(node), { propagation, preconditions: { uid, resourceVersion } }),
  )
}

export async function patchNode(
  client: Client,
  node: Node,
  metadata: { ownerReferences?: readonly OwnerReference[]; finalizers?: readonly string[] },
): Promise<void> {
  const { uid, resourceVersion } = node
  const body = { metadata: { ...metadata, uid, resourceVersion } }
  await unlessGone(client.patch(node.resource, objectName(node), { type: 'merge', body }))
}

async function unlessGone(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

/** Asks the API server itself about an owner that the graph does not show: the graph may be behind. */
export async function fetchOwner(
  client: Client,
  owner: OwnerReference,
  namespace: string | undefined,
): Promise<AnyObject | 'gone'> {
  const resource = await resourceOfKind(client, owner.apiVersion, owner.kind)
  if (resource === undefined) {
    throw new ApiError({
      code: 404,
      reason: 'NotFound',
      message: `nobody serves ${owner.kind} of ${owner.apiVersion}`,
      causes: [],
    })
  }
  const inNamespace = resource.namespaced && namespace !== undefined ? { namespace } : {}
  try {
    const object = await client.get(resource, { ...inNamespace, name: owner.name })
    return object.metadata?.uid === owner.uid ? object : 'gone'
  } catch (error) {
    if (isNotFound(error)) return 'gone'
    throw error
  }
}
