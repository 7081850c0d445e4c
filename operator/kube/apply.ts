/**
 * Makes objects what they ought to be by server-side apply, and only where they are not.
 *
 * It promises that an object which already is as desired costs no call; that fields which other managers own are neither noticed nor
 * touched, while a change to one of ours, or one that we no longer want, is; and that no disagreement with the server about how a
 * value is written can make it apply without end. Which objects there ought to be is left to the caller.
 */
import { createHash } from 'node:crypto'
import type { CallOptions, Client } from './client.ts'
import { unlessNotFound } from './errors.ts'
import { differences, normalised, type Difference } from './difference.ts'
import { appliedBy, type FieldSet } from './managed-fields.ts'
import { ownershipConflict, type Owner, type OwnershipConflict } from './ownership.ts'
import { apiVersionOf, keyOf, nameOf, type KubeObject, type Resource } from './resource.ts'

export interface Wanted<T extends KubeObject> {
  readonly resource: Resource<T>
  /** Exactly the fields that are ours. */
  readonly desired: T
  /** From a cache that keeps metadata.managedFields; undefined when there is no such object. */
  readonly live: T | undefined
  /** When given, an object that this owner does not control is left alone. */
  readonly owner?: Owner
  /**
   * Fields that only a new object gets, and that belong to others from then on, for example `{spec: {replicas: 3}}`. They keep
   * their live value when we let go of them; a field that is just left out would fall back to its default.
   */
  readonly initially?: object
  readonly signal?: AbortSignal
}

export type Applied<T> =
  | { readonly outcome: 'created'; readonly object: T }
  | { readonly outcome: 'applied'; readonly object: T; readonly because: readonly Difference[] }
  | { readonly outcome: 'unchanged' }
  /** It is being deleted: come back when it is gone. */
  | { readonly outcome: 'terminating' }
  | { readonly outcome: 'refused'; readonly conflict: OwnershipConflict }

export interface Applier {
  /** Rejects with an ApiError or a TransportError. */
  apply<T extends KubeObject>(wanted: Wanted<T>): Promise<Applied<T>>
  /** Lets go of what is remembered of an object; for those that are gone. */
  forget(resource: Resource, name: { namespace?: string; name: string }): void
}

export interface ApplierOptions {
  readonly client: Client
  readonly fieldManager: string
  /** Objects of which the last apply is remembered. Default 10,000. */
  readonly memory?: number
}

/** The last apply of one object. */
interface Memory {
  readonly uid: string | undefined
  readonly desiredHash: string
  /** The cache may lag behind our own write: what is older than this is not worth a look. */
  readonly resourceVersion: string | undefined
  readonly basedOn: string | undefined
  /** Differences that the apply left: how the server wants it written. Keyed by path and live value. */
  readonly residue: ReadonlySet<string>
}

export function createApplier({ client, fieldManager, memory = 10_000 }: ApplierOptions): Applier {
  const remembered = new Map<string, Memory>()

  function remember(key: string, entry: Memory): void {
    remembered.delete(key)
    remembered.set(key, entry)
    const [oldest] = remembered.keys()
    if (remembered.size > memory && oldest !== undefined) remembered.delete(oldest)
  }

  async function write<T extends KubeObject>(wanted: Wanted<T>, sent: T, force: boolean): Promise<T> {
    const { resource, live } = wanted
    const desired = normalised(resource, wanted.desired)
    const object = await client.apply(resource, sent, { fieldManager, force, ...boundsOf(wanted) })
    remember(memoryKey(resource, desired), {
      uid: object.metadata?.uid,
      desiredHash: hashOf(desired),
      resourceVersion: object.metadata?.resourceVersion,
      basedOn: live?.metadata?.resourceVersion,
      residue: new Set(differences(desired, object, { name: fieldManager }).map(fingerprint)),
    })
    return object
  }

  /** Not by force: should somebody else make the same object in this very moment, theirs is not overwritten. */
  async function create<T extends KubeObject>(wanted: Wanted<T>): Promise<Applied<T>> {
    const desired = normalised(wanted.resource, wanted.desired)
    const sent = merged(desired, wanted.initially ?? {}) as T
    return { outcome: 'created', object: await write(wanted, sent, false) }
  }

  async function change<T extends KubeObject>(wanted: Wanted<T>, live: T): Promise<Applied<T>> {
    const { resource, owner } = wanted
    const conflict = owner === undefined ? undefined : ownershipConflict(live, owner)
    if (conflict !== undefined) return { outcome: 'refused', conflict }
    if (live.metadata?.deletionTimestamp !== undefined) return { outcome: 'terminating' }
    const desired = normalised(resource, wanted.desired)
    const because = news(remembered.get(memoryKey(resource, desired)), { desired, live, manager: fieldManager })
    if (because.length === 0) return { outcome: 'unchanged' }
    await handOver(client, fieldManager, { ...wanted, live })
    return { outcome: 'applied', object: await write({ ...wanted, live }, desired, true), because }
  }

  return {
    async apply(wanted) {
      // A cache may not know yet what somebody else has just made.
      const live = wanted.live ?? (await existing(client, wanted))
      return live === undefined ? create(wanted) : change(wanted, live)
    },
    forget(resource, name) {
      remembered.delete(`${apiVersionOf(resource)}/${resource.plural}/${keyOf(name)}`)
    },
  }
}

function existing<T extends KubeObject>(client: Client, wanted: Wanted<T>): Promise<T | undefined> {
  return unlessNotFound(client.get(wanted.resource, nameOf(wanted.desired), boundsOf(wanted)))
}

function boundsOf({ signal }: { readonly signal?: AbortSignal }): CallOptions {
  return signal === undefined ? {} : { signal }
}

/** The differences that an apply could do something about. */
function news(
  known: Memory | undefined,
  { desired, live, manager }: { desired: KubeObject; live: KubeObject; manager: string },
): Difference[] {
  const isKnown = known !== undefined && known.uid === live.metadata?.uid && known.desiredHash === hashOf(desired)
  if (isKnown && isBeforeOurWrite(live, known)) return []
  const found = differences(desired, live, { name: manager })
  return isKnown ? found.filter((each) => !known.residue.has(fingerprint(each))) : found
}

/** The cache has not seen our last write, which made the object as desired. resourceVersions are ordered (KEP-5504). */
function isBeforeOurWrite(live: KubeObject, known: Memory): boolean {
  const seen = live.metadata?.resourceVersion
  if (seen === undefined || known.resourceVersion === undefined) return false
  if (seen === known.resourceVersion) return false
  if (seen === known.basedOn) return true
  return isNumber(seen) && isNumber(known.resourceVersion) && BigInt(seen) < BigInt(known.resourceVersion)
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text)
}

/**
 * Gives the fields of `initially` that we still own, from the time when we created the object, to a manager of their own with the
 * value that they have now: letting go of a field that nobody else owns would delete it. The resourceVersion makes sure that it is
 * still that value.
 */
async function handOver<T extends KubeObject>(client: Client, manager: string, wanted: Wanted<T>): Promise<void> {
  const { resource, live, initially } = wanted
  if (initially === undefined || live === undefined) return
  const desired = normalised(resource, wanted.desired)
  const owned = appliedBy(live, manager)?.fields ?? {}
  const kept = stillOurs(initially, { desired, live, owned })
  if (kept === undefined) return
  const metadata = { ...nameOf(live), resourceVersion: live.metadata?.resourceVersion }
  const object = { ...kept, apiVersion: apiVersionOf(resource), kind: resource.kind, metadata } as unknown as T
  await client.apply(resource, object, { fieldManager: `${manager}-initially`, force: true, ...boundsOf(wanted) })
}

/** The live values of those fields of `initially` that are ours and not desired; undefined when there are none. */
function stillOurs(
  initially: unknown,
  at: { desired: unknown; live: unknown; owned: FieldSet | undefined },
): Record<string, unknown> | undefined {
  const kept = Object.entries(initially as object).flatMap(([key, value]) => {
    const inner = {
      desired: (at.desired as Record<string, unknown> | undefined)?.[key],
      live: (at.live as Record<string, unknown> | undefined)?.[key],
      owned: at.owned?.[`f:${key}`],
    }
    if (inner.owned === undefined || inner.live === undefined) return []
    const isBranch = typeof value === 'object' && value !== null && !Array.isArray(value)
    const ours = isBranch ? stillOurs(value, inner) : inner.desired === undefined ? inner.live : undefined
    return ours === undefined ? [] : [[key, ours] as const]
  })
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}

function merged(one: unknown, other: unknown): unknown {
  if (!isPlain(one) || !isPlain(other)) return other
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return Object.fromEntries(
    [...keys].map((key) => [key, key in other ? merged(one[key], other[key]) : one[key]] as const),
  )
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function memoryKey(resource: Resource, object: KubeObject): string {
  return `${apiVersionOf(resource)}/${resource.plural}/${keyOf(nameOf(object))}`
}

function fingerprint({ path, because, live }: Difference): string {
  return JSON.stringify([path, because, live])
}

function hashOf(desired: KubeObject): string {
  return createHash('sha256').update(canonical(desired)).digest('base64')
}

/** The same text for the same fields in any order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isPlain(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}
