/**
 * Strategic merge patch of built-in kinds: like a merge patch, but lists with a merge key merge item by item, and directives
 * (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`) say the rest.
 */
import { clone, equal, isObject, listAt, type Json, type JsonObject } from '../json.ts'
import { badRequest } from '../status.ts'
import { effectiveType, type FieldSlot, type FieldType } from '../structure/field-type.ts'

const ORDER = '$setElementOrder/'
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/'
const RETAIN_KEYS = '$retainKeys'
const DIRECTIVE = '$patch'

/** Applies a patch to an object of the given structure. Throws 400 for a patch that makes no sense. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject, type: FieldType): JsonObject {
  const directive = patch[DIRECTIVE]
  if (directive === 'replace') return clone(withoutDirectives(patch))
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`unknown patch type found: ${JSON.stringify(directive)}`)
  }
  const retained = patch[RETAIN_KEYS]
  const merged = Array.isArray(retained) ? retainOnly(target, retained) : { ...target }
  for (const [field, value] of Object.entries(withoutDirectives(patch))) {
    if (value === null) delete merged[field]
    else merged[field] = patchField(merged[field], value, slotOf(type, field))
  }
  for (const [field, value] of Object.entries(patch)) {
    if (!Array.isArray(value)) continue
    if (field.startsWith(DELETE_PRIMITIVES)) deletePrimitives(merged, field.slice(DELETE_PRIMITIVES.length), value)
    if (!field.startsWith(ORDER)) continue
    const name = field.slice(ORDER.length)
    const list = merged[name]
    if (Array.isArray(list))
      merged[name] = inOrder(list, value, listAt(target, name), slotOf(type, name).patch?.mergeKey)
  }
  return merged
}

function slotOf(type: FieldType, field: string): FieldSlot {
  if (type.kind === 'struct') return type.fields.get(field) ?? { type: { kind: 'untyped' } }
  return { type: type.kind === 'map' ? type.values : { kind: 'untyped' } }
}

function patchField(target: Json | undefined, value: Json, slot: FieldSlot): Json {
  if (isObject(value)) {
    if (!isObject(target)) return strategicMergePatch({}, value, slot.type)
    return strategicMergePatch(target, value, slot.type)
  }
  const merges = Array.isArray(value) && slot.patch?.strategies.includes('merge')
  if (!merges) return clone(value)
  return mergeList(Array.isArray(target) ? target : [], value, slot)
}

function mergeList(target: readonly Json[], patch: readonly Json[], slot: FieldSlot): Json[] {
  const mergeKey = slot.patch?.mergeKey
  const items = effectiveType(slot.type)
  const itemType: FieldType = items.kind === 'list' ? items.items : { kind: 'untyped' }
  if (patch.some((item) => isObject(item) && item[DIRECTIVE] === 'replace' && Object.keys(item).length === 1)) {
    return patch.filter((item) => !(isObject(item) && item[DIRECTIVE] === 'replace')).map((item) => clone(item))
  }
  if (mergeKey === undefined) {
    const added = patch.filter((item) => !target.some((each) => equal(each, item)))
    return inOrder([...target, ...added], patch, target, mergeKey)
  }
  let merged = [...target]
  for (const item of patch) {
    if (!isObject(item)) throw badRequest('expected an object in a list that merges by key')
    const key = item[mergeKey]
    const directive = item[DIRECTIVE]
    if (key === undefined || key === null) {
      if (directive === undefined)
        throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
      continue
    }
    const matches = (each: Json): boolean => isObject(each) && equal(each[mergeKey], key)
    if (directive === 'delete') {
      merged = merged.filter((each) => !matches(each))
      continue
    }
    const index = merged.findIndex(matches)
    const before = merged[index]
    if (isObject(before)) merged[index] = strategicMergePatch(before, item, itemType)
    else merged.push(strategicMergePatch({}, item, itemType))
  }
  return inOrder(merged, patch, target, mergeKey)
}

function retainOnly(target: JsonObject, keys: readonly Json[]): JsonObject {
  return Object.fromEntries(Object.entries(target).filter(([field]) => keys.includes(field)))
}

function deletePrimitives(merged: JsonObject, field: string, doomed: readonly Json[]): void {
  merged[field] = listAt(merged, field).filter((each) => !doomed.some((gone) => equal(gone, each)))
}

/**
 * The items that `order` names, in that order; every other comes before the first of them that it preceded in `before`, so a new item
 * of a patch stands in front: `normalizeElementOrder` in k8s.io/apimachinery.
 */
function inOrder(
  list: readonly Json[],
  order: readonly Json[],
  before: readonly Json[],
  mergeKey: string | undefined,
): Json[] {
  const keyOf = (item: Json): Json | undefined => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item)
  const rankIn = (ranks: readonly Json[], item: Json) => ranks.findIndex((each) => equal(keyOf(each), keyOf(item)))
  const sorted = (items: readonly Json[], ranks: readonly Json[]) =>
    items.toSorted((a, b) => rankIn(ranks, a) - rankIn(ranks, b))
  const named = sorted(
    list.filter((item) => rankIn(order, item) >= 0),
    order,
  )
  const others = sorted(
    list.filter((item) => rankIn(order, item) < 0),
    before,
  )
  const result: Json[] = []
  for (const item of named) {
    const rank = rankIn(before, item)
    while (others[0] !== undefined && rank >= 0 && rankIn(before, others[0]) < rank) result.push(others.shift() as Json)
    result.push(item)
  }
  return [...result, ...others]
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(patch).filter(([field]) => !field.startsWith('$')))
}
