import { keyIn, keyOf, type Cache } from './cache.ts'
import type { Collection } from './collection.ts'
import type { KubeObject } from './objects.ts'
import { claim, controllerOf, controllerReference, type OwnerKind } from './ownership.ts'

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

export interface Owners<O extends KubeObject, T extends KubeObject> {
  readonly kind: string
  readonly cache: Cache<O>
  readonly selects: (owner: O, object: T) => boolean
}

/** The keys of the owners that a change of an object concerns: its controllers before and after; for an orphan, all that select it. */
export function concernedOwners<O extends KubeObject, T extends KubeObject>(
  owners: Owners<O, T>,
  change: { readonly before?: T; readonly after?: T },
): Set<string> {
  const keys = new Set<string>()
  for (const object of [change.before, change.after].filter((state) => state !== undefined)) {
    const { namespace } = object.metadata
    const controller = controllerOf(object)
    if (controller?.kind === owners.kind) keys.add(keyIn(namespace, controller.name))
    if (controller !== undefined) continue
    for (const owner of owners.cache.inNamespace(namespace)) if (owners.selects(owner, object)) keys.add(keyOf(owner))
  }
  return keys
}
