import { appliedBy, isWhole, keyedElements, setValues, type FieldSet } from './managed-fields.ts'
import { quantityValue } from './quantity.ts'
import { apiVersionOf, type KubeObject, type Resource } from './resource.ts'

/** One reason why an apply would change the object. */
export interface Difference {
  /** Where, for people: `spec.template.spec.containers[name=server].image`. */
  readonly path: string
  /**
   * `value`: the live value is another one. `missing`: there is none. `dropped`: we applied it once and do not want it any more.
   * `unowned`: it has our value, but is not ours: we have never applied it, or somebody else took it over.
   */
  readonly because: 'value' | 'missing' | 'dropped' | 'unowned'
  /** As it is in the live object. */
  readonly live: unknown
}

/** The identity of an object, and what the server sets: no manager owns these. */
const UNMANAGED_METADATA = new Set(['name', 'namespace', 'generateName', 'uid', 'resourceVersion', 'generation'])

/**
 * Whether server-side apply of `desired` by this manager would change `live`, and where: an empty answer means that it would not.
 * It needs no schema: which lists are keyed and which maps are atomic is read from the fields that the server noted when they were
 * last applied. Where that leaves a doubt it says "different"; an apply that then changes nothing is remembered by the applier.
 */
export function differences(
  desired: KubeObject,
  live: KubeObject,
  manager: { readonly name: string; readonly subresource?: string },
): Difference[] {
  const applied = appliedBy(live, manager.name, manager.subresource)
  const isOldVersion = applied !== undefined && applied.apiVersion !== (desired.apiVersion ?? live.apiVersion)
  const found: Difference[] = isOldVersion ? [{ path: 'apiVersion', because: 'unowned', live: applied.apiVersion }] : []
  const { apiVersion: _, kind: __, metadata, ...rest } = desired
  const managed = { ...rest, ...managedMetadata(metadata) }
  compareMap(managed, live, { owned: applied?.fields, path: '', found })
  return found
}

/** As the server sees the object: with its type, and without what is undefined. */
export function normalised<T extends KubeObject>(resource: Resource<T>, object: T): T {
  return JSON.parse(JSON.stringify({ ...object, apiVersion: apiVersionOf(resource), kind: resource.kind })) as T
}

function managedMetadata(metadata: KubeObject['metadata']): { metadata?: JsonMap } {
  const managed = Object.entries(metadata ?? {}).filter(
    ([key, value]) => !UNMANAGED_METADATA.has(key) && !isEmpty(value),
  )
  return managed.length === 0 ? {} : { metadata: Object.fromEntries(managed) }
}

interface Place {
  readonly owned: FieldSet | undefined
  readonly path: string
  readonly found: Difference[]
}

function compare(desired: unknown, live: unknown, place: Place): void {
  if (live === undefined || live === null) return report(place, 'missing', live)
  const { owned } = place
  if (owned === undefined) return compareUnowned(desired, live, place)
  if (isEmpty(desired) || isWhole(owned)) return compareWhole(desired, live, place)
  if (isMap(desired) && isMap(live)) return compareMap(desired, live, place)
  if (Array.isArray(desired) && Array.isArray(live)) return compareList(desired, live, place)
  report(place, 'value', live)
}

function report({ path, found }: Place, because: Difference['because'], live: unknown): void {
  found.push({ path, because, live })
}

/** Told field by field, so that an apply which leaves one unowned hides no later change of another. */
function compareUnowned(desired: unknown, live: unknown, place: Place): void {
  if (isMap(desired) && isMap(live) && !isEmpty(desired)) return compareMap(desired, live, place)
  report(place, isEqual(desired, live, place.path) ? 'unowned' : 'value', live)
}

/** A scalar, or what is replaced as a whole. */
function compareWhole(desired: unknown, live: unknown, place: Place): void {
  if (isMap(desired) && Object.keys(desired).length === 0 && isMap(live)) return reportDropped(place, [], live)
  if (!isEqual(desired, live, place.path)) report(place, 'value', live)
}

function compareMap(desired: JsonMap, live: object, place: Place): void {
  const values = live as JsonMap
  const entries = Object.entries(desired).filter(([, value]) => value !== undefined && value !== null)
  for (const [key, value] of entries) {
    compare(value, values[key], { ...place, owned: place.owned?.[`f:${key}`], path: join(place.path, key) })
  }
  reportDropped(
    place,
    entries.map(([key]) => `f:${key}`),
    values,
  )
}

/** Fields that were applied once, are still there, and are no longer wanted. */
function reportDropped(place: Place, wanted: readonly string[], live: JsonMap): void {
  const kept = new Set([...wanted, '.'])
  for (const segment of Object.keys(place.owned ?? {}).filter((each) => !kept.has(each))) {
    const key = segment.slice(2)
    report({ ...place, path: join(place.path, key) }, 'dropped', live[key])
  }
}

function compareList(desired: readonly unknown[], live: readonly unknown[], place: Place): void {
  const owned = place.owned ?? {}
  const keyed = keyedElements(owned)
  if (keyed.length > 0) return compareKeyedList(desired, live, { ...place, keyed })
  const values = setValues(owned)
  if (values.length > 0) return compareSet(desired, live, { ...place, values })
  if (!isEqual(desired, live, place.path)) report(place, 'value', live)
}

type Keyed = ReturnType<typeof keyedElements>

function compareKeyedList(
  desired: readonly unknown[],
  live: readonly unknown[],
  place: Place & { readonly keyed: Keyed },
): void {
  const keyNames = Object.keys(place.keyed[0]?.key ?? {})
  const unused = new Set(place.keyed)
  let lastIndex = -1
  for (const element of desired) {
    const owned = [...unused].find(({ key }) => hasKey(element, key, 'maybe defaulted'))
    const key = owned?.key ?? pick(element, keyNames)
    const index = live.findIndex((each) => hasKey(each, key, 'exactly'))
    const path = `${place.path}[${Object.entries(key)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(',')}]`
    if (owned !== undefined) unused.delete(owned)
    compare(element, live[index], { ...place, owned: owned?.fields, path })
    if (index !== -1 && index < lastIndex) report({ ...place, path: `${path} (order)` }, 'value', index)
    lastIndex = Math.max(lastIndex, index)
  }
  for (const { segment, key } of unused) {
    const dropped = live.find((each) => hasKey(each, key, 'exactly'))
    report({ ...place, path: `${place.path}[${segment.slice(2)}]` }, 'dropped', dropped)
  }
}

/** A key field that the element leaves out has been defaulted by the server (a port's protocol). */
function hasKey(element: unknown, key: JsonMap, match: 'exactly' | 'maybe defaulted'): boolean {
  if (!isMap(element)) return false
  return Object.entries(key).every(([name, value]) =>
    element[name] === undefined ? match === 'maybe defaulted' : element[name] === value,
  )
}

function pick(element: unknown, names: readonly string[]): JsonMap {
  if (!isMap(element)) return {}
  return Object.fromEntries(names.flatMap((name) => (element[name] === undefined ? [] : [[name, element[name]]])))
}

function compareSet(
  desired: readonly unknown[],
  live: readonly unknown[],
  place: Place & { readonly values: ReturnType<typeof setValues> },
): void {
  for (const value of desired) {
    const at = { ...place, path: `${place.path}[${JSON.stringify(value)}]` }
    if (!live.includes(value)) report(at, 'missing', undefined)
    else if (!place.values.some((each) => each.value === value)) report(at, 'unowned', value)
  }
  for (const { value } of place.values) {
    if (!desired.includes(value))
      report({ ...place, path: `${place.path}[${JSON.stringify(value)}]` }, 'dropped', value)
  }
}

type JsonMap = Readonly<Record<string, unknown>>

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isMap(value) && Object.keys(value).length === 0
}

function isEqual(desired: unknown, live: unknown, path: string): boolean {
  if (Array.isArray(desired)) {
    if (!Array.isArray(live) || live.length !== desired.length) return false
    return desired.every((each, index) => isEqual(each, live[index], path))
  }
  if (isMap(desired)) {
    return isMap(live) && isEqualMap(desired, live, path)
  }
  return desired === live || isSameQuantity(desired, live, path)
}

function isEqualMap(desired: JsonMap, live: JsonMap, path: string): boolean {
  const added = Object.keys(live).filter((key) => desired[key] === undefined)
  if (!added.every((key) => isDefault(path, key, live[key]))) return false
  return Object.entries(desired).every(([key, each]) => each === undefined || isEqual(each, live[key], join(path, key)))
}

/** The one default within an atomic map that nearly every pod meets: environment variables from the pod's own fields. */
function isDefault(path: string, key: string, value: unknown): boolean {
  return path.endsWith('.fieldRef') && key === 'apiVersion' && value === 'v1'
}

/** Where built-in objects have quantities, which the server rewrites ("1000m" to "1"). Elsewhere such strings are just strings. */
const QUANTITY_FIELDS =
  /(?:^|\.)(?:limits|requests|overhead|capacity|hard)\.[^.]+$|\.(?:sizeLimit|averageValue|divisor)$|\.target\.value$/

function isSameQuantity(desired: unknown, live: unknown, path: string): boolean {
  if (!QUANTITY_FIELDS.test(path)) return false
  const value = quantityValue(desired)
  return value !== undefined && value === quantityValue(live)
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}
