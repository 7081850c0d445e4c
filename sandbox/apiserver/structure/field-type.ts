/**
 * The structure of API objects: which fields there are and how lists and maps merge. Built from Kubernetes' published schemas
 * for built-in kinds and from a CRD's schema for custom ones; strict decoding, strategic merge and server-side apply all walk it.
 */
import type { Json, JsonObject } from '../json.ts'

export type ScalarName = 'string' | 'integer' | 'number' | 'boolean' | 'int-or-string' | 'quantity' | 'time' | 'bytes'

export interface ScalarType {
  readonly kind: 'scalar'
  readonly scalar: ScalarName
}

/** Named fields, e.g. a PodSpec. */
export interface StructType {
  readonly kind: 'struct'
  readonly name: string
  readonly fields: Map<string, FieldSlot>
  readonly required: readonly string[]
  /** Owned and replaced as a whole by server-side apply. */
  readonly atomic: boolean
  /** Fields that the schema does not name are kept, with a structure deduced from their values. */
  readonly preservesUnknown: boolean
}

/** Free keys with values of one type, e.g. labels. */
export interface MapType {
  readonly kind: 'map'
  readonly values: FieldType
  readonly atomic: boolean
}

export interface ListType {
  readonly kind: 'list'
  readonly items: FieldType
  readonly list: 'atomic' | 'set' | 'map'
  readonly keys: readonly string[]
  /** Values that stand for a missing key field, e.g. protocol TCP. */
  readonly keyDefaults: JsonObject
}

/** No schema: structure is deduced from the value. */
export interface UntypedType {
  readonly kind: 'untyped'
}

export type FieldType = ScalarType | StructType | MapType | ListType | UntypedType

/** What becomes of an empty value in a Go struct: it vanishes, it is kept when it was set, or it is always there. */
export type WhenEmpty = 'dropped' | 'kept' | 'always'

export interface FieldSlot {
  readonly type: FieldType
  readonly whenEmpty?: WhenEmpty
  /** Protobuf field numbers that lead to the field: two of them where a message is embedded. */
  readonly wire?: readonly number[]
  /** Strategic merge patch: how a list or struct of this field is patched. */
  readonly patch?: { readonly strategies: readonly string[]; readonly mergeKey?: string }
}

export const UNTYPED: UntypedType = { kind: 'untyped' }
const UNTYPED_MAP: MapType = { kind: 'map', values: UNTYPED, atomic: false }
const UNTYPED_LIST: ListType = { kind: 'list', items: UNTYPED, list: 'atomic', keys: [], keyDefaults: {} }
const UNTYPED_SCALAR: ScalarType = { kind: 'scalar', scalar: 'string' }

/** The type to walk a value with: itself, or for untyped fields what the value looks like (lists are atomic there). */
export function effectiveType(type: FieldType, ...values: (Json | undefined)[]): Exclude<FieldType, UntypedType> {
  if (type.kind !== 'untyped') return type
  const value = values.find((each) => each !== undefined && each !== null)
  if (Array.isArray(value)) return UNTYPED_LIST
  return typeof value === 'object' && value !== null ? UNTYPED_MAP : UNTYPED_SCALAR
}

/** The type of a field of a struct or of a value of a map. */
export function fieldTypeOf(type: StructType | MapType, field: string): FieldType {
  if (type.kind === 'map') return type.values
  return type.fields.get(field)?.type ?? UNTYPED
}
