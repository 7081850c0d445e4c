import { clone, isObject, type Json, type JsonObject } from '../json.ts'
import type { SchemaNode } from './schema-node.ts'

const OBJECT_FIELDS = new Set(['apiVersion', 'kind', 'metadata'])

/** Removes the fields that a schema does not name, in place, and returns their paths. */
export function prune(object: JsonObject, schema: SchemaNode): string[] {
  const removed: string[] = []
  pruneObject(object, schema, { path: '', isResource: true, removed })
  return removed
}

interface Position {
  readonly path: string
  readonly isResource: boolean
  readonly removed: string[]
}

function pruneValue(value: Json, schema: SchemaNode, at: Position): void {
  if (Array.isArray(value)) {
    const { items } = schema
    if (items)
      value.forEach((each, index) =>
        pruneValue(each, items, { ...at, path: `${at.path}[${index}]`, isResource: items.embedsResource }),
      )
  } else if (isObject(value)) {
    pruneObject(value, schema, at)
  }
}

function pruneObject(object: JsonObject, schema: SchemaNode, at: Position): void {
  for (const [field, value] of Object.entries(object)) {
    const path = at.path ? `${at.path}.${field}` : field
    const child = schema.properties.get(field)
    if (at.isResource && OBJECT_FIELDS.has(field)) continue
    if (child) pruneValue(value, child, { ...at, path, isResource: child.embedsResource })
    else if (schema.additional === true || schema.preservesUnknown) continue
    else if (schema.additional)
      pruneValue(value, schema.additional, { ...at, path, isResource: schema.additional.embedsResource })
    else {
      delete object[field]
      at.removed.push(path)
    }
  }
}

/** Sets defaults in place where fields are missing, and where null stands for a field that may not be null. */
export function applySchemaDefaults(value: Json | undefined, schema: SchemaNode): void {
  if (Array.isArray(value)) {
    const { items } = schema
    if (items) for (const each of value) applySchemaDefaults(each, items)
    return
  }
  if (!isObject(value)) return
  for (const [field, child] of schema.properties) {
    if (child.default !== undefined && isMissing(value[field], child)) value[field] = clone(child.default)
    if (value[field] !== undefined) applySchemaDefaults(value[field], child)
  }
  const free = schema.additional
  if (free === undefined || free === true) return
  for (const [field, each] of Object.entries(value)) if (!schema.properties.has(field)) applySchemaDefaults(each, free)
}

function isMissing(value: Json | undefined, schema: SchemaNode): boolean {
  return value === undefined || (value === null && !schema.nullable)
}

/** Would defaulting change this value? Lets reads of already complete objects go without a copy. */
export function lacksDefaults(value: Json | undefined, schema: SchemaNode): boolean {
  if (Array.isArray(value))
    return schema.items !== undefined && value.some((each) => lacksDefaults(each, schema.items as SchemaNode))
  if (!isObject(value)) return false
  for (const [field, child] of schema.properties) {
    const present = value[field]
    if (child.default !== undefined && isMissing(present, child)) return true
    if (present !== undefined && lacksDefaults(present, child)) return true
  }
  const free = schema.additional
  if (free === undefined || free === true) return false
  return Object.entries(value).some(([field, each]) => !schema.properties.has(field) && lacksDefaults(each, free))
}
