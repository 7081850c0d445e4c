import type { KubeObject, OwnerReference } from './resource.ts'

/** Why an object of the wanted name is not ours to change. */
export interface OwnershipConflict {
  /**
   * `OtherController`: another object controls it. `NoController`: it was made by a person or a tool. `FormerOwner`: its controller
   * had our owner's name but is gone; garbage collection will take it away, so wait.
   */
  readonly reason: 'OtherController' | 'NoController' | 'FormerOwner'
  /** One sentence with a remedy, for a condition. */
  readonly message: string
}

export interface Owner {
  readonly kind: string
  readonly name: string
  readonly uid: string
}

/** Undefined when the object's controller is this owner: only then may it be changed or deleted. */
export function ownershipConflict(live: KubeObject, owner: Owner): OwnershipConflict | undefined {
  const controller = controllerOf(live)
  if (controller?.uid === owner.uid) return undefined
  const object = `${live.kind ?? 'object'} ${live.metadata?.name ?? ''}`
  if (controller === undefined) {
    const message = `${object} exists and belongs to nobody: delete or rename it`
    return { reason: 'NoController', message }
  }
  if (controller.kind === owner.kind && controller.name === owner.name) {
    const message = `${object} belongs to an earlier ${owner.kind} ${owner.name}: waiting until it is garbage-collected`
    return { reason: 'FormerOwner', message }
  }
  const message = `${object} belongs to ${controller.kind} ${controller.name}: rename one of them`
  return { reason: 'OtherController', message }
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((reference) => reference.controller === true)
}
