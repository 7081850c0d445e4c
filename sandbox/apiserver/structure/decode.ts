/**
 * Decoding of built-in kinds with the results that Kubernetes' Go types give: unknown fields are found and dropped, wrong types are
 * refused, and empty values vanish where the Go field says `omitempty`.
 */
import { isObject, textOf, type Json, type JsonObject } from '../json.ts'
import { canonicalQuantity } from '../quantity.ts'
import {
  effectiveType,
  type FieldSlot,
  type FieldType,
  type ListType,
  type MapType,
  type ScalarName,
  type StructType,
} from './field-type.ts'

/** A value whose JSON type is not the field's. The message is encoding/json's. */
export class TypeMismatch extends Error {}

export interface DecodeResult {
  readonly value: JsonObject
  /** Paths of unknown fields, e.g. `spec.template.spec.containers[0].imagee`. */
  readonly unknown: readonly string[]
}

/**
 * `stored` brings values into the form that Go writes: empty ones vanish or appear, quantities are canonical. `as sent` only checks types
 * and drops unknown fields, for configurations to apply, whose fields count just as they were sent.
 */
export type DecodeForm = 'stored' | 'as sent'

interface Position {
  readonly path: string
  /** Name of the Go struct and field for messages, e.g. `DeploymentSpec.spec.replicas`. */
  readonly owner: string
  readonly unknown: string[]
  readonly form: DecodeForm
}

/** Decodes an object by its structure. Throws TypeMismatch. */
export function decodeStruct(object: JsonObject, type: StructType, form: DecodeForm = 'stored'): DecodeResult {
  const unknown: string[] = []
  const value = decodeFields(object, type, { path: '', owner: '', unknown, form })
  return { value, unknown }
}

function decodeFields(object: JsonObject, type: StructType, at: Position): JsonObject {
  const decoded: JsonObject = {}
  const owner = type.name.split('.').at(-1) ?? ''
  for (const [field, value] of Object.entries(object)) {
    const path = at.path ? `${at.path}.${field}` : field
    const slot = type.fields.get(field)
    if (!slot) at.unknown.push(path)
    else if (value !== null) {
      const result = decodeValue(value, slot.type, { ...at, path, owner })
      if (at.form === 'as sent' || !vanishes(result, slot)) decoded[field] = result
    } else if (at.form === 'as sent') decoded[field] = null
  }
  return at.form === 'stored' ? withFieldsThatAreAlwaysThere(decoded, type) : decoded
}

function vanishes(value: Json, slot: FieldSlot): boolean {
  if (slot.whenEmpty !== 'dropped') return false
  if (Array.isArray(value)) return value.length === 0
  if (isObject(value)) return slot.type.kind === 'map' && Object.keys(value).length === 0
  return value === '' || value === 0 || value === false
}

function withFieldsThatAreAlwaysThere(decoded: JsonObject, type: StructType): JsonObject {
  for (const [field, slot] of type.fields) {
    if (slot.whenEmpty === 'always' && decoded[field] === undefined) decoded[field] = zeroOf(slot.type)
  }
  return decoded
}

const ZERO_SCALARS: Readonly<Record<ScalarName, Json>> = {
  string: '',
  bytes: null,
  time: null,
  boolean: false,
  integer: 0,
  number: 0,
  'int-or-string': 0,
  quantity: '0',
}

/** What Go writes for a field that nobody set. */
export function zeroOf(type: FieldType): Json {
  if (type.kind === 'scalar') return ZERO_SCALARS[type.scalar]
  return type.kind === 'struct' ? withFieldsThatAreAlwaysThere({}, type) : null
}

function decodeValue(value: Json, type: FieldType, at: Position): Json {
  switch (type.kind) {
    case 'struct':
      if (!isObject(value)) throw mismatch(value, at, type.name)
      return decodeFields(value, type, at)
    case 'map':
      return decodeMap(value, type, at)
    case 'list':
      return decodeList(value, type, at)
    case 'scalar':
      return decodeScalar(value, type.scalar, at)
    case 'untyped':
      return value
  }
}

function decodeMap(value: Json, type: MapType, at: Position): Json {
  if (!isObject(value)) throw mismatch(value, at, `map[string]${goName(type.values)}`)
  const decoded: JsonObject = {}
  for (const [key, each] of Object.entries(value)) {
    const position = { ...at, path: `${at.path}.${key}` }
    decoded[key] = each === null ? emptyOf(type.values) : decodeValue(each, type.values, position)
  }
  return decoded
}

function decodeList(value: Json, type: ListType, at: Position): Json {
  if (!Array.isArray(value)) throw mismatch(value, at, `[]${goName(type.items)}`)
  return value.map((each, index) =>
    each === null ? emptyOf(type.items) : decodeValue(each, type.items, { ...at, path: `${at.path}[${index}]` }),
  )
}

function emptyOf(type: FieldType): Json {
  const effective = effectiveType(type)
  if (effective.kind !== 'scalar') return effective.kind === 'list' ? [] : {}
  return effective.scalar === 'string' ? '' : null
}

const SCALAR_CHECKS: Readonly<Record<ScalarName, { fits: (value: Json) => boolean; goType: string }>> = {
  string: { fits: (value) => typeof value === 'string', goType: 'string' },
  bytes: { fits: (value) => typeof value === 'string', goType: '[]uint8' },
  time: { fits: (value) => typeof value === 'string', goType: 'string' },
  boolean: { fits: (value) => typeof value === 'boolean', goType: 'bool' },
  integer: { fits: (value) => Number.isInteger(value), goType: 'int32' },
  number: { fits: (value) => typeof value === 'number', goType: 'float64' },
  'int-or-string': {
    fits: (value) => typeof value === 'string' || Number.isInteger(value),
    goType: 'intstr.IntOrString',
  },
  quantity: { fits: (value) => typeof value === 'string' || typeof value === 'number', goType: 'resource.Quantity' },
}

function decodeScalar(value: Json, scalar: ScalarName, at: Position): Json {
  const { fits, goType } = SCALAR_CHECKS[scalar]
  if (!fits(value)) throw mismatch(value, at, goType)
  if (scalar === 'time') return decodeTime(textOf(value))
  return scalar === 'quantity' && at.form === 'stored' ? decodeQuantity(value) : value
}

function decodeTime(value: string): string {
  if (Number.isNaN(Date.parse(value))) {
    throw new TypeMismatch(
      `parsing time ${JSON.stringify(JSON.stringify(value))} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(value)} as "2006"`,
    )
  }
  return value
}

function decodeQuantity(value: Json): string {
  const canonical = canonicalQuantity(textOf(value))
  if (canonical !== undefined) return canonical
  throw new TypeMismatch("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
}

function mismatch(value: Json, at: Position, wanted: string): TypeMismatch {
  return new TypeMismatch(
    `json: cannot unmarshal ${jsonName(value)} into Go struct field ${at.owner}.${at.path} of type ${wanted}`,
  )
}

function jsonName(value: Json): string {
  if (Array.isArray(value)) return 'array'
  if (isObject(value)) return 'object'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'number' && !Number.isInteger(value) ? `number ${value}` : typeof value
}

function goName(type: FieldType): string {
  if (type.kind === 'struct') return type.name.split('.').slice(-2).join('.')
  if (type.kind === 'scalar') return type.scalar === 'string' ? 'string' : type.scalar
  return 'interface {}'
}
