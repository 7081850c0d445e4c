import { keyOf, type KubeObject, type ObjectName } from './resource.ts'

/** What happened to one object. Objects are never changed in place: whoever holds one may keep it. */
export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly previous: T }
  /** `object` is the last state that was seen. */
  | { readonly type: 'deleted'; readonly object: T }

export type ChangeListener<T> = (change: Change<T>) => void

/** Under which values an object is filed; several, one or none. */
export type IndexFunction<T> = (object: T) => readonly string[]

/** A cache of one resource's objects, as readers see it. Reads are consistent with each other within one turn of the event loop. */
export interface Store<T extends KubeObject> {
  get(name: ObjectName): T | undefined
  /** All, or those of one namespace; in no order that means anything. */
  list(namespace?: string): readonly T[]
  /** @throws Error when the store was made without an index of this name. */
  byIndex(index: string, value: string): readonly T[]
  /** Objects with an owner reference to this uid. */
  ownedBy(uid: string): readonly T[]
  readonly size: number
  /** Calls back for every change; what is already there comes first, as added. The returned function ends it. */
  subscribe(listener: ChangeListener<T>): () => void
}

export interface WritableStore<T extends KubeObject> extends Store<T> {
  put(object: T): void
  remove(object: T): void
  /** Makes this the whole content; what is no longer there is deleted, what has the same resourceVersion is not touched. */
  replace(objects: readonly T[]): void
}

export const OWNER_INDEX = 'owner'

export interface StoreOptions<T extends KubeObject> {
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>
  /** A listener that throws must not stop the others. */
  readonly onListenerError?: (error: unknown) => void
}

/** Files objects by a label's value. */
export function labelIndex(label: string): IndexFunction<KubeObject> {
  return (object) => {
    const value = object.metadata?.labels?.[label]
    return value === undefined ? [] : [value]
  }
}

function ownerUids(object: KubeObject): string[] {
  return (object.metadata?.ownerReferences ?? []).map((owner) => owner.uid)
}

export function createStore<T extends KubeObject>(options: StoreOptions<T> = {}): WritableStore<T> {
  const objects = new Map<string, T>()
  const namespaces = createIndex<T>((object) => [object.metadata?.namespace ?? ''])
  const indexes = new Map<string, Index<T>>(
    Object.entries({ [OWNER_INDEX]: ownerUids, ...options.indexes }).map(([name, file]) => [
      name,
      createIndex<T>(file),
    ]),
  )
  const all = [namespaces, ...indexes.values()]
  const listeners = new Set<ChangeListener<T>>()

  function tell(listener: ChangeListener<T>, change: Change<T>): void {
    try {
      listener(change)
    } catch (error) {
      options.onListenerError?.(error)
    }
  }

  function announce(change: Change<T>): void {
    for (const listener of listeners) tell(listener, change)
  }

  function set(key: string, object: T): void {
    const previous = objects.get(key)
    if (previous !== undefined && isSameState(previous, object)) return
    objects.set(key, object)
    for (const index of all) index.move(key, previous, object)
    if (previous === undefined) return announce({ type: 'added', object })
    if (previous.metadata?.uid === object.metadata?.uid) return announce({ type: 'updated', object, previous })
    announce({ type: 'deleted', object: previous }) // Deleted and made anew while nobody watched: another object.
    announce({ type: 'added', object })
  }

  function unset(key: string, last: T): void {
    const previous = objects.get(key)
    if (previous === undefined) return
    objects.delete(key)
    for (const index of all) index.move(key, previous, undefined)
    announce({ type: 'deleted', object: last })
  }

  const found = (keys: ReadonlySet<string>) =>
    [...keys].map((key) => objects.get(key)).filter((each) => each !== undefined)

  return {
    get: (name) => objects.get(keyOf(name)),
    list: (namespace) => (namespace === undefined ? [...objects.values()] : found(namespaces.keys(namespace))),
    byIndex(name, value) {
      const index = indexes.get(name)
      if (index === undefined)
        throw new Error(`the store has no index ${name}; it has ${[...indexes.keys()].join(', ')}`)
      return found(index.keys(value))
    },
    ownedBy(uid) {
      return this.byIndex(OWNER_INDEX, uid)
    },
    get size() {
      return objects.size
    },
    subscribe(listener) {
      for (const object of objects.values()) tell(listener, { type: 'added', object })
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    put: (object) => set(keyOfObject(object), object),
    remove: (object) => unset(keyOfObject(object), object),
    replace(wanted) {
      const kept = new Set(wanted.map(keyOfObject))
      for (const [key, object] of [...objects]) if (!kept.has(key)) unset(key, object)
      for (const object of wanted) set(keyOfObject(object), object)
    },
  }
}

function isSameState(one: KubeObject, other: KubeObject): boolean {
  return one.metadata?.uid === other.metadata?.uid && one.metadata?.resourceVersion === other.metadata?.resourceVersion
}

/** The key under which an object of a cache is known: `namespace/name`. */
export function keyOfObject(object: KubeObject): string {
  const { namespace, name } = object.metadata ?? {}
  return keyOf({ name: name ?? '', ...(namespace !== undefined && { namespace }) })
}

interface Index<T> {
  keys(value: string): ReadonlySet<string>
  move(key: string, previous: T | undefined, next: T | undefined): void
}

const NO_KEYS: ReadonlySet<string> = new Set()

function createIndex<T>(file: IndexFunction<T>): Index<T> {
  const byValue = new Map<string, Set<string>>()
  return {
    keys: (value) => byValue.get(value) ?? NO_KEYS,
    move(key, previous, next) {
      const before = previous === undefined ? [] : file(previous)
      const after = next === undefined ? [] : file(next)
      for (const value of before) {
        const keys = byValue.get(value)
        keys?.delete(key)
        if (keys?.size === 0) byValue.delete(value)
      }
      for (const value of after) {
        const keys = byValue.get(value) ?? new Set()
        byValue.set(value, keys.add(key))
      }
    },
  }
}
