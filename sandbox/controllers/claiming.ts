import type { Collection } from './collection.ts'
import type { KubeObject } from './objects.ts'
import { claim, controllerReference, type OwnerKind } from './ownership.ts'

export interface Claiming<T extends KubeObject> {
  readonly collection: Collection<T>
  readonly matches: (object: T) => boolean
  /** Objects that are neither taken over nor let go, whatever they match. */
  readonly isLeftAlone?: (object: T) => boolean
}

/**
 * Takes over the orphans that an owner selects and lets go what it no longer selects.
 *
 * @returns what it has afterwards.
 */
export async function claimObjects<T extends KubeObject>(
  owner: KubeObject,
  kind: OwnerKind,
  claiming: Claiming<T>,
): Promise<T[]> {
  const { collection, matches, isLeftAlone = () => false } = claiming
  const candidates = collection.cache.inNamespace(owner.metadata.namespace).filter((object) => !isLeftAlone(object))
  const { adopt, release } = claim(owner, candidates, matches)
  const reference = controllerReference(owner, kind)
  for (const object of adopt) {
    await collection.patchMetadata(object, { ownerReferences: [...(object.metadata.ownerReferences ?? []), reference] })
  }
  for (const object of release) {
    const others = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid)
    await collection.patchMetadata(object, { ownerReferences: others })
  }
  return collection.cache.controlledBy(owner.metadata.uid)
}
