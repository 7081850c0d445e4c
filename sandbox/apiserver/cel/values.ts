import { isObject, type Json } from '../json.ts'
import type { SchemaNode } from '../crd/schema-node.ts'
import type { CelInput } from '@bufbuild/cel'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { parseDuration } from './duration.ts'

const META_FIELDS = new Set(['name', 'generateName'])
const ROOT_FIELDS = new Set(['apiVersion', 'kind', 'metadata'])

/** A value as CEL sees it through its schema. Of the metadata only the names are visible, and unknown fields are not. */
export function toCel(value: Json, schema: SchemaNode | undefined, isResource = false): CelInput {
  if (Array.isArray(value)) return value.map((each) => toCel(each, schema?.items))
  if (isObject(value)) return toCelMap(value, schema, isResource)
  if (typeof value === 'number') return toCelNumber(value, schema)
  return typeof value === 'string' ? toCelText(value, schema?.format) : value
}

function toCelText(value: string, format: string | undefined): CelInput {
  switch (format) {
    case 'date-time':
      return timestampFromDate(new Date(value))
    case 'duration':
      return parseDuration(value) ?? value
    case 'byte':
      return new Uint8Array(Buffer.from(value, 'base64'))
    default:
      return value
  }
}

function toCelNumber(value: number, schema: SchemaNode | undefined): CelInput {
  const isInteger = schema?.type === 'integer' || (schema?.type !== 'number' && Number.isInteger(value))
  return isInteger ? BigInt(value) : value
}

function toCelMap(value: Record<string, Json>, schema: SchemaNode | undefined, isResource: boolean): CelInput {
  const map = new Map<string, CelInput>()
  const resource = isResource || schema?.embedsResource === true
  for (const [field, each] of Object.entries(value)) {
    if (resource && ROOT_FIELDS.has(field)) {
      map.set(field, field === 'metadata' ? namesOf(each) : toCel(each, undefined))
      continue
    }
    const named = schema?.properties.get(field)
    if (!isVisible(each, schema, named)) continue
    map.set(named ? escapeField(field) : field, toCel(each, named ?? freeSchema(schema)))
  }
  return map
}

function isVisible(value: Json, schema: SchemaNode | undefined, named: SchemaNode | undefined): boolean {
  if (named) return value !== null || named.nullable
  return schema === undefined || schema.additional !== undefined || schema.preservesUnknown
}

function freeSchema(schema: SchemaNode | undefined): SchemaNode | undefined {
  return schema?.additional === true ? undefined : schema?.additional
}

function namesOf(metadata: Json): CelInput {
  const visible = isObject(metadata) ? Object.entries(metadata).filter(([field]) => META_FIELDS.has(field)) : []
  return new Map(visible.map(([field, each]) => [field, each as CelInput]))
}

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

/** The name under which CEL knows a field whose own name is no CEL identifier. */
export function escapeField(field: string): string {
  if (RESERVED.has(field)) return `__${field}__`
  return field
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__')
}
