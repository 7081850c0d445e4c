/** A CRD's schema, taken apart once when the CRD is stored: pruning, defaulting, validation and CEL all walk these nodes. */
import { isObject, listAt, numberAt, stringAt, type Json, type JsonObject } from '../json.ts'
import { UNTYPED, type FieldSlot, type FieldType, type ScalarName } from '../structure/field-type.ts'

export interface SchemaNode {
  readonly type: string | undefined
  readonly format: string | undefined
  readonly nullable: boolean
  readonly properties: ReadonlyMap<string, SchemaNode>
  readonly required: readonly string[]
  /** Schema of the values under free keys; `true` when anything goes. */
  readonly additional: SchemaNode | true | undefined
  readonly items: SchemaNode | undefined
  readonly preservesUnknown: boolean
  readonly embedsResource: boolean
  readonly intOrString: boolean
  readonly listType: 'atomic' | 'set' | 'map'
  readonly listKeys: readonly string[]
  readonly atomicMap: boolean
  readonly default: Json | undefined
  /** Where the node stands in the CRD, for messages: `properties[spec].items`. */
  readonly place: string
  readonly raw: JsonObject
  readonly pattern: RegExp | undefined
  readonly validations: readonly JsonObject[]
}

export function compileSchema(raw: JsonObject, place = ''): SchemaNode {
  const child = (schema: Json | undefined, step: string): SchemaNode | undefined =>
    isObject(schema) ? compileSchema(schema, place ? `${place}.${step}` : step) : undefined
  const properties = new Map<string, SchemaNode>()
  const named = isObject(raw['properties']) ? raw['properties'] : {}
  for (const [field, schema] of Object.entries(named)) {
    const node = child(schema, `properties[${field}]`)
    if (node) properties.set(field, node)
  }
  const additional = raw['additionalProperties']
  const listType = stringAt(raw, 'x-kubernetes-list-type')
  const pattern = stringAt(raw, 'pattern')
  return {
    type: stringAt(raw, 'type'),
    format: stringAt(raw, 'format'),
    nullable: raw['nullable'] === true,
    properties,
    required: listAt(raw, 'required').filter((each) => typeof each === 'string'),
    additional: additional === true ? true : child(additional, 'additionalProperties'),
    items: child(raw['items'], 'items'),
    preservesUnknown: raw['x-kubernetes-preserve-unknown-fields'] === true,
    embedsResource: raw['x-kubernetes-embedded-resource'] === true,
    intOrString: raw['x-kubernetes-int-or-string'] === true,
    listType: listType === 'map' || listType === 'set' ? listType : 'atomic',
    listKeys: listAt(raw, 'x-kubernetes-list-map-keys').filter((each) => typeof each === 'string'),
    atomicMap: stringAt(raw, 'x-kubernetes-map-type') === 'atomic',
    default: raw['default'],
    place,
    raw,
    pattern: pattern === undefined ? undefined : compilePattern(pattern),
    validations: listAt(raw, 'x-kubernetes-validations').filter(isObject),
  }
}

/** Go's RE2 and JavaScript agree on what CRDs use; flags in front, `(?i)`, are the exception. */
export function compilePattern(pattern: string): RegExp | undefined {
  const flagged = /^\(\?([ims]+)\)(.*)$/s.exec(pattern)
  try {
    return flagged ? new RegExp(flagged[2] ?? '', `u${flagged[1] ?? ''}`) : new RegExp(pattern, 'u')
  } catch {
    try {
      return new RegExp(pattern)
    } catch {
      return undefined
    }
  }
}

export function limitOf(node: SchemaNode, name: string): number | undefined {
  return numberAt(node.raw, name)
}

const SCALARS: Readonly<Record<string, ScalarName>> = {
  string: 'string',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
}

/** The structure of a schema, for strategic questions of server-side apply. `metadata` is every object's own. */
export function structureOf(node: SchemaNode, metadata: FieldType, isRoot = true): FieldType {
  if (node.intOrString) return { kind: 'scalar', scalar: 'int-or-string' }
  if (node.type === 'array') return listStructure(node, metadata)
  if (node.type !== 'object') {
    const scalar = SCALARS[node.type ?? '']
    return scalar ? { kind: 'scalar', scalar } : UNTYPED
  }
  if (node.additional !== undefined && node.properties.size === 0) {
    const values = node.additional === true ? UNTYPED : structureOf(node.additional, metadata, false)
    return { kind: 'map', values, atomic: node.atomicMap }
  }
  const fields = new Map<string, FieldSlot>()
  for (const [field, child] of node.properties) fields.set(field, { type: structureOf(child, metadata, false) })
  if (isRoot || node.embedsResource) addObjectFields(fields, metadata)
  const { place: name, required, atomicMap: atomic, preservesUnknown } = node
  return { kind: 'struct', name, fields, required, atomic, preservesUnknown }
}

function listStructure(node: SchemaNode, metadata: FieldType): FieldType {
  const keyDefaults: JsonObject = {}
  for (const key of node.listKeys) {
    const value = node.items?.properties.get(key)?.default
    if (value !== undefined) keyDefaults[key] = value
  }
  const items = node.items ? structureOf(node.items, metadata, false) : UNTYPED
  return { kind: 'list', items, list: node.listType, keys: node.listKeys, keyDefaults }
}

function addObjectFields(fields: Map<string, FieldSlot>, metadata: FieldType): void {
  fields.set('apiVersion', { type: { kind: 'scalar', scalar: 'string' } })
  fields.set('kind', { type: { kind: 'scalar', scalar: 'string' } })
  fields.set('metadata', { type: metadata })
}
