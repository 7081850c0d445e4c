/**
 * The store of one API server: every object by resource, one counter of versions over all of them, and a bounded history of
 * changes that watches replay. Objects go in complete and come out shared: nobody may change what a read returned.
 */
import type { KubeObject } from './json.ts'

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

export interface Change {
  readonly type: ChangeType
  readonly version: number
  readonly object: KubeObject
  /** The object as it was before; selectors need it to tell that an object left their view. */
  readonly previous?: KubeObject
}

export type ChangeListener = (change: Change) => void

interface Shelf {
  readonly objects: Map<string, KubeObject>
  readonly history: Change[]
  readonly listeners: Set<ChangeListener>
  sorted: KubeObject[] | undefined
  /** Changes at or below this version are no longer in the history. */
  forgotten: number
}

export interface Place {
  readonly namespace: string
  readonly name: string
}

export class Store {
  readonly #shelves = new Map<string, Shelf>()
  readonly #historyLength: number
  /** Changes wait here while a listener that writes is told of an earlier one, so that everybody sees them in order. */
  readonly #undelivered: [Shelf, Change][] = []
  #delivering = false
  #version = 1

  /** @param historyLength how many changes of one resource a watch can go back */
  constructor(historyLength: number) {
    this.#historyLength = historyLength
  }

  get version(): number {
    return this.#version
  }

  get(shelfName: string, place: Place): KubeObject | undefined {
    return this.#shelf(shelfName).objects.get(keyOf(place))
  }

  /** All objects of a resource by namespace and name, as etcd orders them; of one namespace when it is given. */
  list(shelfName: string, namespace?: string): readonly KubeObject[] {
    const shelf = this.#shelf(shelfName)
    shelf.sorted ??= [...shelf.objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
    if (!namespace) return shelf.sorted
    return shelf.sorted.filter((object) => object.metadata['namespace'] === namespace)
  }

  size(shelfName: string): number {
    return this.#shelf(shelfName).objects.size
  }

  /** Stores an object under the next version and tells the watchers. Returns it with its resourceVersion. */
  put(shelfName: string, object: KubeObject): KubeObject {
    const shelf = this.#shelf(shelfName)
    const key = keyOf(placeOf(object))
    const previous = shelf.objects.get(key)
    const stored = this.#stamp(object)
    shelf.objects.set(key, stored)
    shelf.sorted = undefined
    const version = this.#version
    this.#record(
      shelf,
      previous ? { type: 'MODIFIED', version, object: stored, previous } : { type: 'ADDED', version, object: stored },
    )
    return stored
  }

  /** Removes an object; `last` is what the watchers see of it, under a version of its own. */
  remove(shelfName: string, last: KubeObject): KubeObject {
    const shelf = this.#shelf(shelfName)
    const key = keyOf(placeOf(last))
    const previous = shelf.objects.get(key)
    shelf.objects.delete(key)
    shelf.sorted = undefined
    const object = this.#stamp(last)
    this.#record(shelf, { type: 'DELETED', version: this.#version, object, ...(previous ? { previous } : {}) })
    return object
  }

  /** The changes after a version, oldest first, or undefined when the history does not reach back so far. */
  changesSince(shelfName: string, version: number): Change[] | undefined {
    const shelf = this.#shelf(shelfName)
    if (version < shelf.forgotten) return undefined
    return shelf.history.filter((change) => change.version > version)
  }

  /** Forgets all history, as a compaction of etcd does: watches from an older version get 410. */
  compact(): void {
    for (const shelf of this.#shelves.values()) {
      shelf.history.length = 0
      shelf.forgotten = this.#version
    }
  }

  subscribe(shelfName: string, listener: ChangeListener): () => void {
    const { listeners } = this.#shelf(shelfName)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  #stamp(object: KubeObject): KubeObject {
    this.#version += 1
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } }
  }

  #record(shelf: Shelf, change: Change): void {
    shelf.history.push(change)
    if (shelf.history.length > this.#historyLength) {
      const dropped = shelf.history.splice(0, Math.ceil(this.#historyLength / 10))
      shelf.forgotten = dropped.at(-1)?.version ?? shelf.forgotten
    }
    this.#undelivered.push([shelf, change])
    if (this.#delivering) return
    this.#delivering = true
    try {
      for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) {
        const [{ listeners }, due] = next
        for (const listener of [...listeners]) listener(due)
      }
    } finally {
      this.#delivering = false
    }
  }

  #shelf(name: string): Shelf {
    const known = this.#shelves.get(name)
    if (known) return known
    const shelf: Shelf = { objects: new Map(), history: [], listeners: new Set(), sorted: undefined, forgotten: 0 }
    this.#shelves.set(name, shelf)
    return shelf
  }
}

export function placeOf(object: KubeObject): Place {
  const namespace = object.metadata['namespace']
  return { namespace: typeof namespace === 'string' ? namespace : '', name: object.metadata.name }
}

/** NUL sorts before every character that a name may hold, so namespaces keep together in the order of their names. */
function keyOf(place: Place): string {
  return `${place.namespace}\0${place.name}`
}
