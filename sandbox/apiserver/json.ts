/** Plain JSON values, and the few questions that the API server asks of them. Objects in the store are shared and never changed. */
export type Json = null | boolean | number | string | Json[] | JsonObject

export interface JsonObject {
  [key: string]: Json
}

export interface ObjectMeta extends JsonObject {
  name: string
}

/** Any API object once its metadata was filled in. */
export interface KubeObject extends JsonObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of field names, or undefined where any part of the path is missing. */
export function valueAt(root: Json | undefined, ...path: string[]): Json | undefined {
  let value: Json | undefined = root
  for (const field of path) {
    if (!isObject(value)) return undefined
    value = Object.hasOwn(value, field) ? value[field] : undefined
  }
  return value
}

export function objectAt(root: Json | undefined, ...path: string[]): JsonObject | undefined {
  const value = valueAt(root, ...path)
  return isObject(value) ? value : undefined
}

export function listAt(root: Json | undefined, ...path: string[]): Json[] {
  const value = valueAt(root, ...path)
  return Array.isArray(value) ? value : []
}

export function objectsAt(root: Json | undefined, ...path: string[]): JsonObject[] {
  return listAt(root, ...path).filter(isObject)
}

export function stringAt(root: Json | undefined, ...path: string[]): string | undefined {
  const value = valueAt(root, ...path)
  return typeof value === 'string' ? value : undefined
}

export function numberAt(root: Json | undefined, ...path: string[]): number | undefined {
  const value = valueAt(root, ...path)
  return typeof value === 'number' ? value : undefined
}

/** The object at a field, made there when it is missing or null. */
export function ensureObject(parent: JsonObject, field: string): JsonObject {
  const value = parent[field]
  if (isObject(value)) return value
  const made: JsonObject = {}
  parent[field] = made
  return made
}

/** Sets a field only where it is missing or null: how Kubernetes' defaulting treats pointers and zero values. */
export function setDefault(parent: JsonObject, field: string, value: Json): void {
  if (parent[field] === undefined || parent[field] === null) parent[field] = value
}

export function clone<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map((each) => clone(each)) as T
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) copy[key] = clone(value[key] as Json)
  return copy as T
}

/** Deep equality; the order of an object's fields does not matter. */
export function equal(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) && left.length === right.length && left.every((each, index) => equal(each, right[index]))
    )
  }
  if (!isObject(left) || !isObject(right)) return false
  const keys = Object.keys(left)
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && equal(left[key], right[key]))
  )
}

/** JSON with sorted keys, equal for equal values: a map key, and how list items and paths are named. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const fields = Object.keys(value).sort()
  return `{${fields.map((field) => `${JSON.stringify(field)}:${canonical(value[field] as Json)}`).join(',')}}`
}

/** A scalar as text, anything else as JSON. */
export function textOf(value: Json | undefined): string {
  if (typeof value === 'string') return value
  return value === undefined ? '' : JSON.stringify(value)
}
