/** What makes a schema unfit: the rules of structural schemas (KEP-1000s' "structural schema"), of list types and of defaults. */
import { forbiddenField, invalid, notSupported, required, type FieldError } from '../field-error.ts'
import { clone, equal, isObject, listAt, stringAt, textOf, type Json, type JsonObject } from '../json.ts'
import { applySchemaDefaults, prune } from './prune.ts'
import { compilePattern, compileSchema } from './schema-node.ts'
import { validateBySchema } from './validate.ts'

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string']
const LIST_TYPES = ['atomic', 'map', 'set']

/** Everything wrong with a version's schema. */
export function schemaProblems(schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (schema['type'] !== 'object') errors.push(invalid(`${path}.type`, schema['type'], 'must be object at the root'))
  visit(schema, path, errors)
  return errors
}

function visit(schema: JsonObject, path: string, errors: FieldError[]): void {
  errors.push(...typeProblems(schema, path), ...listProblems(schema, path), ...defaultProblems(schema, path))
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  for (const [field, child] of Object.entries(properties)) {
    if (isObject(child)) visit(child, `${path}.properties[${field}]`, errors)
  }
  for (const field of ['items', 'additionalProperties']) {
    const child = schema[field]
    if (isObject(child)) visit(child, `${path}.${field}`, errors)
  }
}

function typeProblems(schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const type = stringAt(schema, 'type')
  const mayLackType =
    schema['x-kubernetes-preserve-unknown-fields'] === true || schema['x-kubernetes-int-or-string'] === true
  if (type === undefined && !mayLackType)
    errors.push(required(`${path}.type`, 'must not be empty for specified object fields'))
  if (type !== undefined && !TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES))
  if (type === 'array' && !isObject(schema['items'])) errors.push(required(`${path}.items`, 'must be specified'))
  const pattern = stringAt(schema, 'pattern')
  if (pattern !== undefined && !compilePattern(pattern)) {
    errors.push(invalid(`${path}.pattern`, pattern, "must be a valid regular expression, but isn't"))
  }
  if (isObject(schema['properties']) && schema['additionalProperties'] !== undefined) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    )
  }
  return errors
}

function listProblems(schema: JsonObject, path: string): FieldError[] {
  const listType = stringAt(schema, 'x-kubernetes-list-type')
  const keys = listAt(schema, 'x-kubernetes-list-map-keys')
  if (listType === undefined) return []
  const at = `${path}.x-kubernetes-list-type`
  if (!LIST_TYPES.includes(listType)) return [notSupported(at, listType, LIST_TYPES)]
  if (listType !== 'map') return []
  if (keys.length === 0)
    return [required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map')]
  const items = isObject(schema['items']) ? schema['items'] : {}
  const properties = isObject(items['properties']) ? items['properties'] : {}
  const needed = listAt(items, 'required')
  return keys.flatMap((key, index) => {
    const property = properties[textOf(key)]
    const place = `${path}.x-kubernetes-list-map-keys[${index}]`
    if (!isObject(property)) return [invalid(place, key, 'must be defined in items.properties')]
    if (needed.includes(key) || property['default'] !== undefined) return []
    return [
      required(
        `${path}.items.properties[${textOf(key)}].default`,
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
      ),
    ]
  })
}

/** A default must fit the schema that it is given in, and must not be pruned by it. */
function defaultProblems(schema: JsonObject, path: string): FieldError[] {
  const given = schema['default']
  if (given === undefined) return []
  const node = compileSchema({ ...schema, default: null })
  const complete: Json = clone(given)
  if (isObject(complete)) {
    prune(complete, node)
    if (!equal(complete, given)) return [invalid(`${path}.default`, given, 'must not have unknown fields')]
  }
  applySchemaDefaults(complete, node)
  return validateBySchema(complete, undefined, node).map((error) => ({
    ...error,
    field: `${path}.default${error.field ? `.${error.field}` : ''}`,
  }))
}
