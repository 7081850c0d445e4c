/**
 * Serves what CRDs define: a stored CRD becomes endpoints at once and gets its conditions; a deleted one takes its objects along
 * (those with finalizers hold it back until they are gone, as the real cleanup finalizer does).
 */
import { timestamp, type Cluster } from '../cluster.ts'
import { removeObject } from '../handlers/delete.ts'
import { equal, listAt, objectAt, objectsAt, stringAt, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'
import type { Change } from '../store.ts'
import type { BuiltinTypes } from '../structure/builtin-types.ts'
import { CLEANUP_FINALIZER } from './cleanup.ts'
import { compileCrd } from './custom-type.ts'

export const CRD_SHELF = 'apiextensions.k8s.io/customresourcedefinitions'

const BACKGROUND = {
  propagation: 'Background' as const,
  orphanDependents: undefined,
  gracePeriodSeconds: undefined,
  uid: undefined,
  resourceVersion: undefined,
  dryRun: false,
}

export class CrdRegistrar {
  readonly #cluster: Cluster
  readonly #structures: BuiltinTypes
  readonly #served = new Map<string, { spec: Json; types: readonly ResourceType[] }>()
  readonly #watchers = new Map<string, () => void>()
  readonly #stop: () => void

  constructor(cluster: Cluster, structures: BuiltinTypes) {
    this.#cluster = cluster
    this.#structures = structures
    this.#stop = cluster.store.subscribe(CRD_SHELF, (change) => this.#follow(change))
  }

  close(): void {
    this.#stop()
    for (const stop of this.#watchers.values()) stop()
  }

  #follow(change: Change): void {
    const crd = change.object
    if (change.type === 'DELETED') {
      this.#withdraw(crd.metadata.name)
      return
    }
    this.#serve(crd)
    if (crd.metadata['deletionTimestamp'] !== undefined) this.#cleanUp(crd)
    else this.#establish(crd)
  }

  #serve(crd: KubeObject): void {
    const { name } = crd.metadata
    const spec = crd['spec'] ?? null
    const before = this.#served.get(name)
    if (before && equal(before.spec, spec)) return
    before?.types.forEach((type) => this.#cluster.catalog.remove(type))
    const { types } = compileCrd(crd, this.#structures.struct('meta.v1.ObjectMeta'))
    types.forEach((type) => this.#cluster.catalog.add(type))
    this.#served.set(name, { spec, types })
  }

  #withdraw(name: string): void {
    this.#served.get(name)?.types.forEach((type) => this.#cluster.catalog.remove(type))
    this.#served.delete(name)
    this.#watchers.get(name)?.()
    this.#watchers.delete(name)
  }

  /** Writes the conditions and names that clients wait for. */
  #establish(crd: KubeObject): void {
    const status = objectAt(crd, 'status') ?? {}
    const storage = objectsAt(crd, 'spec', 'versions').find((each) => each['storage'] === true)
    const storedVersions = new Set([...listAt(status, 'storedVersions'), stringAt(storage, 'name') ?? ''])
    const now = timestamp(this.#cluster.clock())
    const wanted: JsonObject = {
      ...status,
      acceptedNames: objectAt(crd, 'spec', 'names') ?? {},
      storedVersions: [...storedVersions],
      conditions: withCondition(
        withCondition(
          listAt(status, 'conditions'),
          'NamesAccepted',
          { reason: 'NoConflicts', message: 'no conflicts found' },
          now,
        ),
        'Established',
        { reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' },
        now,
      ),
    }
    if (!equal(wanted, status)) this.#cluster.store.put(CRD_SHELF, { ...crd, status: wanted })
  }

  #cleanUp(crd: KubeObject): void {
    const { name } = crd.metadata
    const type = this.#served.get(name)?.types[0]
    if (!listAt(crd, 'metadata', 'finalizers').includes(CLEANUP_FINALIZER)) return
    if (type) {
      const { shelf } = type
      if (!this.#watchers.has(name))
        this.#watchers.set(
          name,
          this.#cluster.store.subscribe(shelf, () => this.#finish(name, shelf)),
        )
      for (const object of this.#cluster.store.list(shelf)) removeObject(this.#cluster, type, object, BACKGROUND)
      this.#finish(name, shelf)
    }
  }

  /** Takes the finalizer away once no object is left. */
  #finish(name: string, shelf: string): void {
    const { store } = this.#cluster
    const crd = store.get(CRD_SHELF, { namespace: '', name })
    if (!crd || store.size(shelf) > 0) return
    const finalizers = listAt(crd, 'metadata', 'finalizers').filter((each) => each !== CLEANUP_FINALIZER)
    const released: KubeObject = { ...crd, metadata: { ...crd.metadata, finalizers } }
    if (finalizers.length === 0) store.remove(CRD_SHELF, released)
    else store.put(CRD_SHELF, released)
  }
}

function withCondition(
  conditions: readonly Json[],
  type: string,
  why: { reason: string; message: string },
  now: string,
): Json[] {
  if (conditions.some((each) => stringAt(each, 'type') === type && stringAt(each, 'status') === 'True'))
    return [...conditions]
  const others = conditions.filter((each) => stringAt(each, 'type') !== type)
  return [...others, { type, status: 'True', lastTransitionTime: now, ...why }]
}
