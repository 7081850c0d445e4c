/**
 * Request bodies in protobuf, which Go clients send for built-in kinds (application/vnd.kubernetes.protobuf). They are turned into
 * JSON at the door; answers are always JSON, which those clients accept.
 */
import type { Json, JsonObject } from '../json.ts'
import { badRequest } from '../status.ts'
import type { BuiltinTypes } from '../structure/builtin-types.ts'
import type { FieldSlot, FieldType, ScalarName, StructType } from '../structure/field-type.ts'
import { ProtobufReader, type WireValue } from './protobuf-reader.ts'

export const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const MAGIC = Buffer.from('k8s\0')

/** The JSON of a protobuf body. Throws 400 for a body that is none, or of an unknown kind. */
export function protobufToJson(body: Buffer, types: BuiltinTypes): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  const envelope = fieldsOf(body.subarray(MAGIC.length))
  const meta = fieldsOf(bytesOf(envelope.get(1)?.at(-1)))
  const apiVersion = textOf(meta.get(1)?.at(-1))
  const kind = textOf(meta.get(2)?.at(-1))
  const name = structName(apiVersion, kind)
  if (!types.has(name))
    throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
  return { apiVersion, kind, ...decodeMessage(bytesOf(envelope.get(2)?.at(-1)), types.struct(name)) }
}

function structName(apiVersion: string, kind: string): string {
  if (kind === 'DeleteOptions') return 'meta.v1.DeleteOptions'
  const [version = '', group = 'core'] = apiVersion.split('/').reverse()
  return `${group.split('.')[0] ?? ''}.${version}.${kind}`
}

type Fields = ReadonlyMap<number, readonly WireValue[]>

function fieldsOf(bytes: Uint8Array): Fields {
  const fields = new Map<number, WireValue[]>()
  const reader = new ProtobufReader(bytes)
  for (let field = reader.next(); field; field = reader.next()) {
    const known = fields.get(field.number)
    if (known) known.push(field.value)
    else fields.set(field.number, [field.value])
  }
  return fields
}

function decodeMessage(bytes: Uint8Array, type: StructType): JsonObject {
  const fields = fieldsOf(bytes)
  const object: JsonObject = {}
  for (const [name, slot] of type.fields) {
    const values = valuesOf(fields, slot)
    if (values.length > 0) object[name] = decodeField(values, slot.type)
  }
  return object
}

/** The values of a field, which may lie in an embedded message. */
function valuesOf(fields: Fields, slot: FieldSlot): readonly WireValue[] {
  const [first, second] = slot.wire ?? []
  if (first === undefined) return []
  const values = fields.get(first) ?? []
  return second === undefined ? values : values.flatMap((value) => fieldsOf(bytesOf(value)).get(second) ?? [])
}

function decodeField(values: readonly WireValue[], type: FieldType): Json {
  if (type.kind === 'list') return values.map((value) => decodeOne(value, type.items))
  if (type.kind === 'map') {
    const entries = values.map((value) => fieldsOf(bytesOf(value)))
    return Object.fromEntries(
      entries.map((entry) => [
        textOf(entry.get(1)?.at(-1)),
        decodeOne(entry.get(2)?.at(-1) ?? new Uint8Array(), type.values),
      ]),
    )
  }
  return decodeOne(values.at(-1) ?? new Uint8Array(), type)
}

function decodeOne(value: WireValue, type: FieldType): Json {
  switch (type.kind) {
    case 'struct':
      return decodeMessage(bytesOf(value), type)
    case 'scalar':
      return SCALARS[type.scalar](value)
    case 'untyped':
      return decodeRaw(bytesOf(value))
    case 'list':
      // Lists of lists are messages with the items in field 1.
      return decodeField(fieldsOf(bytesOf(value)).get(1) ?? [], type)
    case 'map':
      return {}
  }
}

const SCALARS: Readonly<Record<ScalarName, (value: WireValue) => Json>> = {
  string: (value) => textOf(value),
  bytes: (value) => Buffer.from(bytesOf(value)).toString('base64'),
  boolean: (value) => value === 1n,
  integer: (value) => integerOf(value),
  number: (value) =>
    typeof value === 'bigint' ? new DataView(new BigUint64Array([value]).buffer).getFloat64(0, true) : 0,
  quantity: (value) => textOf(fieldsOf(bytesOf(value)).get(1)?.at(-1)),
  time: (value) => timeOf(bytesOf(value)),
  'int-or-string': (value) => {
    const fields = fieldsOf(bytesOf(value))
    return integerOf(fields.get(1)?.at(-1)) === 1 ? textOf(fields.get(3)?.at(-1)) : integerOf(fields.get(2)?.at(-1))
  },
}

/** RawExtension, FieldsV1 and JSON: a message whose first field is JSON. */
function decodeRaw(bytes: Uint8Array): Json {
  const text = textOf(fieldsOf(bytes).get(1)?.at(-1))
  try {
    return text === '' ? null : (JSON.parse(text) as Json)
  } catch {
    throw badRequest('a field of the protobuf body is not in a form that this server reads; send JSON')
  }
}

function timeOf(bytes: Uint8Array): Json {
  const fields = fieldsOf(bytes)
  if (fields.size === 0) return null
  const nanos = integerOf(fields.get(2)?.at(-1))
  const date = new Date(integerOf(fields.get(1)?.at(-1)) * 1000)
  const seconds = date.toISOString().slice(0, 19)
  return nanos === 0 ? `${seconds}Z` : `${seconds}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`
}

function integerOf(value: WireValue | undefined): number {
  return typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : 0
}

function bytesOf(value: WireValue | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array()
}

function textOf(value: WireValue | undefined): string {
  return Buffer.from(bytesOf(value)).toString('utf8')
}
