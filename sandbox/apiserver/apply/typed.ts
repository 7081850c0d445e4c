/**
 * Walks of objects along their structure, as structured-merge-diff defines them (KEP-555): which fields an object has, how two
 * objects differ, how one is merged into another, and taking fields away.
 */
import { canonical, equal, isObject, type Json, type JsonObject } from '../json.ts'
import {
  effectiveType,
  fieldTypeOf,
  type FieldType,
  type ListType,
  type MapType,
  type StructType,
} from '../structure/field-type.ts'
import { FieldSet } from './field-set.ts'

/** An object that does not fit its structure so that it could be merged: duplicate or missing keys. */
export class NotMergeable extends Error {}

type Shape =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'fields'; readonly type: StructType | MapType }
  | { readonly kind: 'items'; readonly type: ListType }

const LEAF: Shape = { kind: 'leaf' }

function isEmptyValue(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
}

/** How a value is walked. Atomic types, and values that are empty on both sides, are leaves. */
function shapeOf(type: FieldType, left: Json | undefined, right: Json | undefined): Shape {
  const effective = effectiveType(type, right, left)
  if (effective.kind === 'scalar' || (isEmptyValue(left) && isEmptyValue(right))) return LEAF
  const fits = effective.kind === 'list' ? Array.isArray : isObject
  if (!fits(left ?? right) || !fits(right ?? left)) return LEAF
  if (effective.kind === 'list') return effective.list === 'atomic' ? LEAF : { kind: 'items', type: effective }
  return effective.atomic ? LEAF : { kind: 'fields', type: effective }
}

/** The path element that names an item of a keyed list or a set. Throws NotMergeable. */
export function itemElement(item: Json, type: ListType): string {
  if (type.list === 'set') return `v:${canonical(item)}`
  const keys: JsonObject = {}
  for (const key of type.keys) {
    const value = (isObject(item) ? item[key] : undefined) ?? type.keyDefaults[key]
    if (value !== undefined) keys[key] = value
  }
  if (Object.keys(keys).length === 0) {
    const missing = type.keys.map((key) => JSON.stringify(key)).join(', ')
    throw new NotMergeable(`element has none of the key fields ${missing}`)
  }
  return `k:${canonical(keys)}`
}

interface Indexed {
  readonly order: readonly string[]
  readonly items: ReadonlyMap<string, Json>
}

/** Items by element. Of items with the same key the first counts, unless duplicates are refused. */
function indexItems(list: Json | undefined, type: ListType, refuseDuplicates: boolean): Indexed {
  const items = new Map<string, Json>()
  for (const item of Array.isArray(list) ? list : []) {
    const element = itemElement(item, type)
    if (items.has(element) && refuseDuplicates) throw new NotMergeable(`duplicate entries for key ${element.slice(2)}`)
    if (!items.has(element)) items.set(element, item)
  }
  return { order: [...items.keys()], items }
}

/** Every field that an object sets, for the manager that applies it. */
export function fieldSetOf(object: Json, type: FieldType): FieldSet {
  const set = new FieldSet()
  collectFields(object, type, { set, path: [] })
  return set
}

interface Collecting {
  readonly set: FieldSet
  readonly path: readonly string[]
}

function collectFields(value: Json, type: FieldType, at: Collecting): void {
  const effective = effectiveType(type, value)
  if (effective.kind === 'list' && effective.list !== 'atomic' && Array.isArray(value)) {
    for (const [element, item] of indexItems(value, effective, true).items) {
      const path = [...at.path, element]
      collectFields(item, effective.items, { ...at, path })
      at.set.insert(path)
    }
  } else if ((effective.kind === 'map' || effective.kind === 'struct') && !effective.atomic && isObject(value)) {
    collectNamed(value, effective, at)
  } else if (value !== null || effective.kind === 'scalar') {
    at.set.insert(at.path)
  }
}

/** Free keys, nulls and empty objects are owned themselves; a named field that holds something is owned through that. */
function collectNamed(object: JsonObject, type: StructType | MapType, at: Collecting): void {
  for (const [field, each] of Object.entries(object)) {
    const path = [...at.path, `f:${field}`]
    collectFields(each, fieldTypeOf(type, field), { ...at, path })
    const named = type.kind === 'struct' && type.fields.has(field)
    if (!named || each === null || (isObject(each) && Object.keys(each).length === 0)) at.set.insert(path)
  }
}

/** Paths of the fields that no schema names, as structured-merge-diff writes them: `.spec.parts[name="a"].foo`. */
export function undeclaredFields(value: Json, type: FieldType, path = ''): string[] {
  const effective = effectiveType(type, value)
  if (effective.kind === 'list' && Array.isArray(value))
    return value.flatMap((item, index) =>
      undeclaredFields(item, effective.items, `${path}[${itemName(item, effective) ?? index}]`),
    )
  if ((effective.kind !== 'struct' && effective.kind !== 'map') || !isObject(value)) return []
  return Object.entries(value).flatMap(([field, each]) => {
    const at = `${path}.${field}`
    const isKnown = effective.kind === 'map' || effective.preservesUnknown || effective.fields.has(field)
    return isKnown ? undeclaredFields(each, fieldTypeOf(effective, field), at) : [at]
  })
}

function itemName(item: Json, type: ListType): string | undefined {
  if (type.list !== 'map' || !isObject(item)) return undefined
  return type.keys.map((key) => `${key}=${JSON.stringify(item[key] ?? type.keyDefaults[key])}`).join(',')
}

export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

/** How `right` differs from `left`. */
export function compare(left: Json, right: Json, type: FieldType): Comparison {
  const result = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() }
  compareAt({ left, right, type, path: [] }, result)
  return result
}

interface Pair {
  readonly left: Json | undefined
  readonly right: Json | undefined
  readonly type: FieldType
  readonly path: readonly string[]
}

function compareAt(pair: Pair, result: Comparison): void {
  const { left, right, path } = pair
  if (left === undefined && right === undefined) return
  const shape = shapeOf(pair.type, left, right)
  if (shape.kind === 'leaf') {
    if (left === undefined) result.added.insert(path)
    else if (right === undefined) result.removed.insert(path)
    else if (!equal(left, right)) result.modified.insert(path)
    return
  }
  for (const child of childPairs(pair, shape)) compareAt(child, result)
  if (left === undefined) result.added.insert(path)
  else if (right === undefined) result.removed.insert(path)
}

function childPairs({ left, right, path }: Pair, shape: Exclude<Shape, { kind: 'leaf' }>): Pair[] {
  if (shape.kind === 'items') {
    const [before, after] = [indexItems(left, shape.type, false), indexItems(right, shape.type, false)]
    return [...new Set([...before.order, ...after.order])].map((element) => ({
      left: before.items.get(element),
      right: after.items.get(element),
      type: shape.type.items,
      path: [...path, element],
    }))
  }
  const [before, after] = [isObject(left) ? left : {}, isObject(right) ? right : {}]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].map((field) => ({
    left: before[field],
    right: after[field],
    type: fieldTypeOf(shape.type, field),
    path: [...path, `f:${field}`],
  }))
}

/** `right` merged over `left`: what right says wins, what it does not mention stays. */
export function merge(left: Json | undefined, right: Json | undefined, type: FieldType): Json | undefined {
  if (right === undefined) return left
  if (left === undefined) return right
  const shape = shapeOf(type, left, right)
  switch (shape.kind) {
    case 'leaf':
      return right
    case 'fields':
      return mergeFields(isObject(left) ? left : {}, isObject(right) ? right : {}, shape.type)
    case 'items':
      return mergeItems(left, right, shape.type)
  }
}

function mergeFields(left: JsonObject, right: JsonObject, type: StructType | MapType): JsonObject {
  const merged: JsonObject = {}
  for (const field of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const value = merge(left[field], right[field], fieldTypeOf(type, field))
    if (value !== undefined) merged[field] = value
  }
  return merged
}

/** Items in right's order; left's own items come as early as the order of the shared ones allows. */
function mergeItems(left: Json, right: Json, type: ListType): Json[] {
  const before = indexItems(left, type, false)
  const after = indexItems(right, type, true)
  const shared = after.order.filter((element) => before.items.has(element))
  const merged: Json[] = []
  let next = 0
  const takeOwn = (): void => {
    for (; next < before.order.length; next += 1) {
      const element = before.order[next] as string
      if (element === shared[0]) return
      if (!after.items.has(element)) merged.push(before.items.get(element) as Json)
    }
  }
  for (const element of after.order) {
    takeOwn()
    const value = merge(before.items.get(element), after.items.get(element), type.items)
    if (value !== undefined) merged.push(value)
    if (element !== shared[0]) continue
    shared.shift()
    if (before.order[next] === element) next += 1
  }
  takeOwn()
  return merged
}

/** The value without the fields and items of a set. */
export function removeFields(value: Json, set: FieldSet, type: FieldType): Json | undefined {
  const effective = effectiveType(type, value)
  if (effective.kind === 'list') {
    if (effective.list === 'atomic' || !Array.isArray(value)) return value
    return removeItems(value, set, effective)
  }
  if (effective.kind === 'scalar' || effective.atomic || !isObject(value)) return value
  const rest: JsonObject = {}
  for (const [field, each] of Object.entries(value)) {
    const element = `f:${field}`
    if (set.hasMember(element)) continue
    const below = set.below(element)
    const kept = below && !isEmptyValue(each) ? removeFields(each, below, fieldTypeOf(effective, field)) : each
    if (kept !== undefined) rest[field] = kept
  }
  return Object.keys(rest).length > 0 || Object.keys(value).length === 0 ? rest : undefined
}

function removeItems(list: readonly Json[], set: FieldSet, type: ListType): Json | undefined {
  const rest: Json[] = []
  for (const item of list) {
    const element = itemElement(item, type)
    if (set.hasMember(element)) continue
    const below = set.below(element)
    const kept = below ? removeFields(item, below, type.items) : item
    if (kept !== undefined) rest.push(kept)
  }
  return rest.length > 0 || list.length === 0 ? rest : undefined
}

/** The set with every field of a struct that it goes through as a member: a struct is there when something in it is. */
export function withNamedFields(set: FieldSet, type: FieldType): FieldSet {
  const members: string[] = []
  const children: [string, FieldSet][] = []
  for (const [element, child] of set.elements()) {
    const name = element.slice(2)
    if (element.startsWith('f:') && type.kind === 'struct' && type.fields.has(name)) members.push(element)
    children.push([element, withNamedFields(child, childType(type, element))])
  }
  return set.rebuilt(members, children)
}

function childType(type: FieldType, element: string): FieldType {
  if (type.kind === 'list') return type.items
  return type.kind === 'struct' || type.kind === 'map' ? fieldTypeOf(type, element.slice(2)) : type
}
