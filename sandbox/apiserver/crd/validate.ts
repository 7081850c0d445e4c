/**
 * Validation of custom resources by their OpenAPI schema, worded as the real API server words it. Values that an update leaves as
 * they were are not judged again (KEP-4008), so a tightened schema does not lock old objects.
 */
import {
  duplicate,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
  typeInvalid,
  type FieldError,
} from '../field-error.ts'
import { canonical, equal, isObject, listAt, textOf, type Json, type JsonObject } from '../json.ts'
import { formatProblem } from './formats.ts'
import { compileSchema, limitOf, type SchemaNode } from './schema-node.ts'

export function validateBySchema(value: Json, old: Json | undefined, schema: SchemaNode): FieldError[] {
  return validateValue({ value, old, path: '' }, schema)
}

export interface Judged {
  readonly value: Json
  /** The same value before an update; undefined for a new one, or where the old one cannot be told. */
  readonly old: Json | undefined
  readonly path: string
}

function validateValue(at: Judged, schema: SchemaNode): FieldError[] {
  const { value } = at
  if (at.old !== undefined && equal(value, at.old)) return []
  if (value === null) return schema.nullable ? [] : nullErrors(at, schema)
  const typeError = typeErrorOf(at, schema)
  if (typeError) return [typeError]
  return [
    ...valueErrors(at, schema),
    ...combinatorErrors(at, schema),
    ...childErrors(at, schema),
    ...listErrors(at, schema),
  ]
}

function nullErrors(at: Judged, schema: SchemaNode): FieldError[] {
  return schema.type === undefined
    ? []
    : [typeInvalid(at.path, 'null', `${at.path} in body must be of type ${schema.type}: "null"`)]
}

function jsonType(value: Json): string {
  if (Array.isArray(value)) return 'array'
  if (value === null) return 'null'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function typeErrorOf({ value, path }: Judged, schema: SchemaNode): FieldError | undefined {
  const actual = jsonType(value)
  if (schema.intOrString) {
    if (actual === 'integer' || actual === 'string') return undefined
    return typeInvalid(path, actual, `${path} in body must be of type integer,string: ${JSON.stringify(actual)}`)
  }
  const wanted = schema.type
  if (wanted === undefined || actual === wanted || (wanted === 'number' && actual === 'integer')) return undefined
  return typeInvalid(path, actual, `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`)
}

function valueErrors(at: Judged, schema: SchemaNode): FieldError[] {
  const { value, path } = at
  const errors: FieldError[] = []
  const choices = schema.raw['enum']
  if (Array.isArray(choices) && !choices.some((each) => equal(each, value)))
    errors.push(notSupported(path, value, choices.map(textOf)))
  if (typeof value === 'string') errors.push(...stringErrors(value, path, schema))
  if (typeof value === 'number') errors.push(...numberErrors(value, path, schema))
  if (Array.isArray(value)) errors.push(...sizeErrors(at, schema, value))
  if (isObject(value)) errors.push(...objectErrors(value, path, schema))
  return errors
}

function stringErrors(value: string, path: string, schema: SchemaNode): FieldError[] {
  const error = textError(value, path, schema)
  const errors = error === undefined ? [] : [error]
  const problem = schema.format === undefined ? undefined : formatProblem(value, schema.format)
  if (problem !== undefined)
    errors.push(typeInvalid(path, value, `${path} in body must be of type ${problem}: ${JSON.stringify(value)}`))
  return errors
}

/** Of length and pattern only the first that is wrong is told. */
function textError(value: string, path: string, schema: SchemaNode): FieldError | undefined {
  const length = [...value].length
  const max = limitOf(schema, 'maxLength')
  const min = limitOf(schema, 'minLength')
  if (max !== undefined && length > max) return tooLong(path, max)
  if (min !== undefined && length < min)
    return invalid(path, value, `${path} in body should be at least ${min} chars long`)
  if (schema.pattern && !schema.pattern.test(value))
    return invalid(path, value, `${path} in body should match '${textOf(schema.raw['pattern'])}'`)
  return undefined
}

const INTEGER_RANGES: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 }

function numberErrors(value: number, path: string, schema: SchemaNode): FieldError[] {
  const step = limitOf(schema, 'multipleOf')
  const range = schema.type === 'integer' ? INTEGER_RANGES[schema.format ?? ''] : undefined
  const problems = [maximumProblem(value, schema), minimumProblem(value, schema)]
  if (step !== undefined && !Number.isInteger(value / step)) problems.push(`a multiple of ${step}`)
  if (range !== undefined && !(value >= -range && value < range))
    problems.push(`a value of ${schema.format ?? ''} format`)
  return problems
    .filter((problem) => problem !== undefined)
    .map((problem) => invalid(path, value, `${path} in body should be ${problem}`))
}

function maximumProblem(value: number, schema: SchemaNode): string | undefined {
  const max = limitOf(schema, 'maximum')
  const exclusive = schema.raw['exclusiveMaximum'] === true
  if (max === undefined || (exclusive ? value < max : value <= max)) return undefined
  return `less than ${exclusive ? '' : 'or equal to '}${max}`
}

function minimumProblem(value: number, schema: SchemaNode): string | undefined {
  const min = limitOf(schema, 'minimum')
  const exclusive = schema.raw['exclusiveMinimum'] === true
  if (min === undefined || (exclusive ? value > min : value >= min)) return undefined
  return `greater than ${exclusive ? '' : 'or equal to '}${min}`
}

function sizeErrors({ path }: Judged, schema: SchemaNode, value: readonly Json[]): FieldError[] {
  const errors: FieldError[] = []
  const max = limitOf(schema, 'maxItems')
  const min = limitOf(schema, 'minItems')
  if (max !== undefined && value.length > max) errors.push(tooMany(path, value.length, max))
  if (min !== undefined && value.length < min)
    errors.push(invalid(path, value.length, `${path} in body should have at least ${min} items`))
  return errors
}

function objectErrors(value: JsonObject, path: string, schema: SchemaNode): FieldError[] {
  const errors = schema.required
    .filter((field) => value[field] === undefined)
    .map((field) => required(join(path, field)))
  const count = Object.keys(value).length
  const max = limitOf(schema, 'maxProperties')
  const min = limitOf(schema, 'minProperties')
  if (max !== undefined && count > max) errors.push(tooMany(path, count, max))
  if (min !== undefined && count < min)
    errors.push(invalid(path, value, `${path} in body should have at least ${min} properties`))
  return errors
}

function childErrors(at: Judged, schema: SchemaNode): FieldError[] {
  const { value, old, path } = at
  if (Array.isArray(value)) {
    const { items } = schema
    if (!items) return []
    return value.flatMap((each, index) =>
      validateValue({ value: each, old: oldItem(each, old, schema), path: `${path}[${index}]` }, items),
    )
  }
  if (!isObject(value)) return []
  const before = isObject(old) ? old : {}
  return Object.entries(value).flatMap(([field, each]) => {
    const child = schema.properties.get(field) ?? (schema.additional === true ? undefined : schema.additional)
    return child ? validateValue({ value: each, old: before[field], path: join(path, field) }, child) : []
  })
}

/** The item of the old list that a new item corresponds to: only keyed lists and sets tell. */
export function oldItem(item: Json, old: Json | undefined, schema: SchemaNode): Json | undefined {
  if (!Array.isArray(old)) return undefined
  if (schema.listType !== 'map') return undefined
  const key = keyOf(item, schema)
  return old.find((each) => keyOf(each, schema) === key)
}

function keyOf(item: Json, schema: SchemaNode): string {
  if (!isObject(item)) return canonical(item)
  return canonical(schema.listKeys.map((key) => item[key] ?? schema.items?.properties.get(key)?.default ?? null))
}

function listErrors({ value, path }: Judged, schema: SchemaNode): FieldError[] {
  if (!Array.isArray(value) || schema.listType === 'atomic') return []
  const seen = new Set<string>()
  return value.flatMap((item, index) => {
    const key = schema.listType === 'set' ? canonical(item) : keyOf(item, schema)
    if (!seen.has(key)) {
      seen.add(key)
      return []
    }
    const shown =
      schema.listType === 'set' || !isObject(item)
        ? item
        : Object.fromEntries(schema.listKeys.map((name) => [name, item[name] ?? null]))
    return [duplicate(`${path}[${index}]`, shown)]
  })
}

function combinatorErrors(at: Judged, schema: SchemaNode): FieldError[] {
  const { raw } = schema
  if (
    raw['anyOf'] === undefined &&
    raw['oneOf'] === undefined &&
    raw['allOf'] === undefined &&
    raw['not'] === undefined
  )
    return []
  const { path, value } = at
  const failures = (name: string): FieldError[][] =>
    listAt(raw, name)
      .filter(isObject)
      .map((each) => validateValue({ ...at, old: undefined }, compileSchema(each)))
  const errors: FieldError[] = []
  if (raw['allOf'] !== undefined) errors.push(...failures('allOf').flat())
  if (raw['anyOf'] !== undefined && failures('anyOf').every((each) => each.length > 0)) {
    errors.push(
      invalid(path, value, `${path} in body must validate at least one schema (anyOf)`),
      ...(failures('anyOf')[0] ?? []),
    )
  }
  if (raw['oneOf'] !== undefined) {
    const fitting = failures('oneOf').filter((each) => each.length === 0).length
    const found = fitting === 0 ? 'Found none valid' : `Found ${fitting} valid alternatives`
    if (fitting !== 1)
      errors.push(invalid(path, value, `${path} in body must validate one and only one schema (oneOf). ${found}`))
  }
  const not = raw['not']
  if (isObject(not) && validateValue({ ...at, old: undefined }, compileSchema(not)).length === 0) {
    errors.push(invalid(path, value, `${path} in body must not validate the schema (not)`))
  }
  return errors
}

export function join(path: string, field: string): string {
  return path ? `${path}.${field}` : field
}
