import type { KubeObject } from './objects.ts'
import { controllerOf } from './ownership.ts'

/** One change of one object: `before` is missing when it is new, `after` when it is gone. */
export interface Change<T> {
  readonly before?: T
  readonly after?: T
}

export type Listener<T> = (change: Change<T>) => void

/**
 * All objects of one kind as the API server last told of them, through the watch and through the answers to our own writes.
 *
 * Its law: an object never goes back to an older resourceVersion, and one that the watch has shown to be gone never comes back by the
 * late answer to a write. So a controller that reads it sees its own writes at once and never does a thing twice. It relies on
 * resourceVersions being ordered over the collection, as the API promises (KEP-5504).
 */
export class Cache<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #byNamespace = new Map<string, Set<string>>()
  readonly #byController = new Map<string, Set<string>>()
  readonly #listeners: Listener<T>[] = []
  /** The newest version that the watch has shown: whatever is older and not here is gone. */
  #watchedUpTo = 0n

  subscribe(listener: Listener<T>): void {
    this.#listeners.push(listener)
  }

  /** Calls back with the key of each object that changes. */
  subscribeKeys(listener: (key: string) => void): void {
    this.subscribe(({ before, after }) => {
      const object = after ?? before
      if (object !== undefined) listener(keyOf(object))
    })
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  all(): T[] {
    return [...this.#objects.values()]
  }

  inNamespace(namespace: string | undefined): T[] {
    return this.#ofKeys(this.#byNamespace.get(namespace ?? ''))
  }

  /** The objects whose controller has this uid. */
  controlledBy(uid: string): T[] {
    return this.#ofKeys(this.#byController.get(uid))
  }

  /** The watch tells of an object: new or changed. */
  seen(object: T): void {
    this.#advance(object)
    this.#put(object)
  }

  /** The watch tells that an object is gone. */
  seenGone(object: T): void {
    this.#advance(object)
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before === undefined || isNewer(before, object)) return
    this.#drop(key, before)
    this.#tell({ before })
  }

  /** The answer to our own write; nothing new if the watch was faster. */
  absorb(object: T): void {
    if (versionOf(object) > this.#watchedUpTo || this.#objects.has(keyOf(object))) this.#put(object)
  }

  /** Our own delete was accepted: until the watch tells what came of it, the object counts as being deleted. */
  assumeDeleting(object: T, deletionTimestamp: string): void {
    const current = this.#objects.get(keyOf(object))
    if (current?.metadata.uid !== object.metadata.uid || current.metadata.deletionTimestamp !== undefined) return
    this.#store(keyOf(object), current, { ...current, metadata: { ...current.metadata, deletionTimestamp } })
  }

  /** A write found that the object is gone, which the watch may have missed. */
  forget(object: T): void {
    const before = this.#objects.get(keyOf(object))
    if (before?.metadata.uid === object.metadata.uid) this.seenGone(before)
  }

  #put(object: T): void {
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before !== undefined && !isNewer(object, before)) return
    this.#store(key, before, object)
  }

  #store(key: string, before: T | undefined, after: T): void {
    if (before !== undefined) this.#drop(key, before)
    this.#objects.set(key, after)
    link(this.#byNamespace, after.metadata.namespace ?? '', key)
    const controller = controllerOf(after)
    if (controller !== undefined) link(this.#byController, controller.uid, key)
    this.#tell(before === undefined ? { after } : { before, after })
  }

  #drop(key: string, object: T): void {
    this.#objects.delete(key)
    unlink(this.#byNamespace, object.metadata.namespace ?? '', key)
    const controller = controllerOf(object)
    if (controller !== undefined) unlink(this.#byController, controller.uid, key)
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change)
  }

  #advance(object: T): void {
    const version = versionOf(object)
    if (version > this.#watchedUpTo) this.#watchedUpTo = version
  }

  #ofKeys(keys: ReadonlySet<string> | undefined): T[] {
    return [...(keys ?? [])].map((key) => this.#objects.get(key)).filter((object) => object !== undefined)
  }
}

/** `namespace/name`, or `name` of a cluster-scoped object. */
export function keyOf({ metadata }: KubeObject): string {
  return keyIn(metadata.namespace, metadata.name)
}

/** The key of the object of this name in this namespace. */
export function keyIn(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

function versionOf({ metadata }: KubeObject): bigint {
  return /^\d+$/.test(metadata.resourceVersion) ? BigInt(metadata.resourceVersion) : 0n
}

function isNewer(a: KubeObject, b: KubeObject): boolean {
  return versionOf(a) > versionOf(b)
}

function link(index: Map<string, Set<string>>, value: string, key: string): void {
  const keys = index.get(value) ?? new Set<string>()
  index.set(value, keys.add(key))
}

function unlink(index: Map<string, Set<string>>, value: string, key: string): void {
  const keys = index.get(value)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(value)
}
