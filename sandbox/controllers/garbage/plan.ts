import type { Resource } from '../../../operator/kube/resource.ts'
import type { OwnerReference } from '../objects.ts'

export const FOREGROUND_FINALIZER = 'foregroundDeletion'
export const ORPHAN_FINALIZER = 'orphan'

/** What the collector keeps of every object: who it is and who owns it. */
export interface Node {
  readonly resource: Resource
  readonly name: string
  readonly namespace: string | undefined
  readonly uid: string
  readonly resourceVersion: string
  readonly owners: readonly OwnerReference[]
  readonly finalizers: readonly string[]
  readonly isDeleting: boolean
}

/** What is known about an owner: it is there; it is there and waits, in foreground deletion, for its dependents; it is gone. */
export type OwnerState = 'solid' | 'waiting' | 'gone'

export type Propagation = 'Background' | 'Foreground' | 'Orphan'

export type Verdict =
  | { readonly kind: 'keep' }
  /** Some owner lives on: only the references to the others are removed. */
  | { readonly kind: 'disown'; readonly owners: readonly OwnerReference[] }
  | { readonly kind: 'delete'; readonly propagation: Propagation }
  /** The object's own deletion asked for something first. */
  | { readonly kind: 'releaseDependents' }
  | { readonly kind: 'removeFinalizer'; readonly finalizer: string }
  | { readonly kind: 'waitForDependents' }

export interface Relations {
  readonly stateOf: (owner: OwnerReference) => OwnerState
  /** Objects that name this one among their owners. */
  readonly dependents: readonly Node[]
}

/** What garbage collection has to do with one object (the rules of kube-controller-manager's garbage collector). */
export function judge(node: Node, { stateOf, dependents }: Relations): Verdict {
  if (node.isDeleting) return judgeDeleting(node, dependents)
  const states = node.owners.map((owner) => ({ owner, state: stateOf(owner) }))
  if (states.length === 0) return { kind: 'keep' }
  const solid = states.filter(({ state }) => state === 'solid').map(({ owner }) => owner)
  if (solid.length > 0) return solid.length === states.length ? { kind: 'keep' } : { kind: 'disown', owners: solid }
  const ownerWaits = states.some(({ state }) => state === 'waiting')
  return { kind: 'delete', propagation: propagationFor(node, ownerWaits && dependents.length > 0) }
}

/** An owner that waits for all that is below it passes its patience on; else the object's own finalizers say how it goes. */
function propagationFor(node: Node, ownerWaits: boolean): Propagation {
  if (ownerWaits) return 'Foreground'
  if (node.finalizers.includes(ORPHAN_FINALIZER)) return 'Orphan'
  return node.finalizers.includes(FOREGROUND_FINALIZER) ? 'Foreground' : 'Background'
}

function judgeDeleting(node: Node, dependents: readonly Node[]): Verdict {
  if (node.finalizers.includes(ORPHAN_FINALIZER)) {
    return dependents.length > 0
      ? { kind: 'releaseDependents' }
      : { kind: 'removeFinalizer', finalizer: ORPHAN_FINALIZER }
  }
  if (!node.finalizers.includes(FOREGROUND_FINALIZER)) return { kind: 'keep' }
  const blocks = dependents.some((dependent) => ownerReference(dependent, node)?.blockOwnerDeletion === true)
  return blocks ? { kind: 'waitForDependents' } : { kind: 'removeFinalizer', finalizer: FOREGROUND_FINALIZER }
}

function ownerReference(dependent: Node, owner: Node): OwnerReference | undefined {
  return dependent.owners.find(({ uid }) => uid === owner.uid)
}

/** In foreground deletion: the object itself stays until its blocking dependents are gone. */
export function waitsForDependents(node: Node): boolean {
  return node.isDeleting && node.finalizers.includes(FOREGROUND_FINALIZER)
}
