import type { KubeObject, OwnerReference } from './objects.ts'
import { isDeleting } from './pod-state.ts'

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

export interface OwnerKind {
  readonly apiVersion: string
  readonly kind: string
}

/** The reference that makes `owner` the controller of an object; deleting the owner in the foreground waits for the object. */
export function controllerReference(owner: KubeObject, { apiVersion, kind }: OwnerKind): OwnerReference {
  const { name, uid } = owner.metadata
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

export interface Claim<T> {
  /** Objects that belong to the owner already. */
  readonly owned: T[]
  /** Orphans that match the selector: to be taken over. */
  readonly adopt: T[]
  /** Owned objects that no longer match the selector: to be let go. */
  readonly release: T[]
}

/**
 * Which objects an owner has, takes over and lets go: an object with another controller is
 * never touched; an owner that is being deleted neither adopts nor releases; an object that is being deleted is not adopted.
 */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  candidates: readonly T[],
  matches: (object: T) => boolean,
): Claim<T> {
  const result: Claim<T> = { owned: [], adopt: [], release: [] }
  for (const object of candidates) {
    const controller = controllerOf(object)
    if (controller !== undefined && controller.uid !== owner.metadata.uid) continue
    const matching = matches(object)
    if (controller !== undefined) {
      if (matching) result.owned.push(object)
      else if (!isDeleting(owner)) result.release.push(object)
    } else if (matching && !isDeleting(owner) && !isDeleting(object)) {
      result.adopt.push(object)
    }
  }
  return result
}
