/**
 * OpenAPI v3 of what is served: enough for `kubectl explain`, for its client-side patches and for its check that the server validates
 * fields. Built-in kinds come without descriptions; those of a CRD are the CRD's own.
 */
import { createHash } from 'node:crypto'
import { isObject, type Json, type JsonObject } from '../json.ts'
import type { ResourceCatalog } from '../kinds/catalog.ts'
import { apiVersionOf, type ResourceType } from '../kinds/resource-type.ts'
import type { FieldSlot, FieldType, ScalarName, StructType } from '../structure/field-type.ts'
import { groupVersions } from './discovery.ts'

const PREFIX = '/openapi/v3'

/** GET /openapi/v3 and /openapi/v3/apis/GROUP/VERSION; undefined for anything else. */
export function openApi(catalog: ResourceCatalog, path: string): JsonObject | undefined {
  if (path === PREFIX) return index(catalog)
  const groupVersion = groupVersions(catalog).find((each) => path === `${PREFIX}/${rootOf(each)}`)
  if (groupVersion === undefined) return undefined
  return document(catalog.all().filter((type) => apiVersionOf(type) === groupVersion))
}

function index(catalog: ResourceCatalog): JsonObject {
  const paths: JsonObject = {}
  for (const groupVersion of groupVersions(catalog)) {
    const types = catalog.all().filter((type) => apiVersionOf(type) === groupVersion)
    const seed = types.map((type) => [type.kind, type.openApi ?? null] as Json[])
    const hash = createHash('sha256').update(JSON.stringify(seed)).digest('hex').slice(0, 32).toUpperCase()
    paths[rootOf(groupVersion)] = { serverRelativeURL: `${PREFIX}/${rootOf(groupVersion)}?hash=${hash}` }
  }
  return { paths }
}

function rootOf(groupVersion: string): string {
  return groupVersion.includes('/') ? `apis/${groupVersion}` : `api/${groupVersion}`
}

function document(types: readonly ResourceType[]): JsonObject {
  const schemas: JsonObject = {}
  const paths: JsonObject = {}
  for (const type of types) {
    addSchema(type, schemas)
    Object.assign(paths, pathsOf(type))
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'unversioned' }, paths, components: { schemas } }
}

function gvkOf(type: ResourceType): JsonObject {
  return { group: type.group, version: type.version, kind: type.kind }
}

const QUERY = (name: string): JsonObject => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })
const WRITE_PARAMETERS = ['dryRun', 'fieldManager', 'fieldValidation'].map(QUERY)

function pathsOf(type: ResourceType): JsonObject {
  const scope = type.namespaced ? '/namespaces/{namespace}' : ''
  const collection = `/${rootOf(apiVersionOf(type))}${scope}/${type.plural}`
  const operation = (action: string, parameters: JsonObject[] = []): JsonObject => ({
    parameters,
    responses: {
      '200': { description: 'OK', content: { 'application/json': { schema: { $ref: reference(schemaName(type)) } } } },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvkOf(type),
  })
  return {
    [collection]: { get: operation('list'), post: operation('post', WRITE_PARAMETERS) },
    [`${collection}/{name}`]: {
      get: operation('get'),
      put: operation('put', WRITE_PARAMETERS),
      patch: operation('patch', [...WRITE_PARAMETERS, QUERY('force')]),
      delete: operation('delete', [QUERY('dryRun')]),
    },
  }
}

function addSchema(type: ResourceType, schemas: JsonObject): void {
  const name = schemaName(type)
  if (type.openApi) schemas[name] = customSchema(type, type.openApi, schemas)
  else if (type.structure.kind === 'struct') schemas[name] = structSchema(type.structure, schemas)
  const schema = schemas[name]
  if (isObject(schema)) schema['x-kubernetes-group-version-kind'] = [gvkOf(type)]
}

function customSchema(type: ResourceType, openApiSchema: JsonObject, schemas: JsonObject): JsonObject {
  const properties = isObject(openApiSchema['properties']) ? openApiSchema['properties'] : {}
  const { fields } = type.structure.kind === 'struct' ? type.structure : { fields: new Map<string, FieldSlot>() }
  const metadata = fields.get('metadata')
  const shown: JsonObject = metadata ? { metadata: typeSchema(metadata.type, schemas) } : {}
  return {
    ...openApiSchema,
    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, ...properties, ...shown },
  }
}

function schemaName(type: ResourceType): string {
  if (type.structure.kind === 'struct' && !type.custom) return fullName(type.structure.name)
  return `${type.group.split('.').reverse().join('.')}.${type.version}.${type.kind}`
}

function fullName(name: string): string {
  return name.startsWith('meta.v1.') ? `io.k8s.apimachinery.pkg.apis.${name}` : `io.k8s.api.${name}`
}

function reference(name: string): string {
  return `#/components/schemas/${name}`
}

function structSchema(type: StructType, schemas: JsonObject): JsonObject {
  const properties: JsonObject = {}
  const schema: JsonObject = { type: 'object', properties }
  schemas[fullName(type.name)] = schema
  if (type.required.length > 0) schema['required'] = [...type.required]
  if (type.atomic) schema['x-kubernetes-map-type'] = 'atomic'
  for (const [field, slot] of type.fields) properties[field] = slotSchema(slot, schemas)
  return schema
}

function slotSchema(slot: FieldSlot, schemas: JsonObject): JsonObject {
  const schema = typeSchema(slot.type, schemas)
  if (!slot.patch) return schema
  return {
    ...schema,
    'x-kubernetes-patch-strategy': slot.patch.strategies.join(','),
    ...(slot.patch.mergeKey ? { 'x-kubernetes-patch-merge-key': slot.patch.mergeKey } : {}),
  }
}

const SCALARS: Readonly<Record<ScalarName, JsonObject>> = {
  string: { type: 'string' },
  integer: { type: 'integer', format: 'int64' },
  number: { type: 'number', format: 'double' },
  boolean: { type: 'boolean' },
  'int-or-string': { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
  quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  time: { type: 'string', format: 'date-time' },
  bytes: { type: 'string', format: 'byte' },
}

function typeSchema(type: FieldType, schemas: JsonObject): JsonObject {
  switch (type.kind) {
    case 'struct':
      if (schemas[fullName(type.name)] === undefined) structSchema(type, schemas)
      return { allOf: [{ $ref: reference(fullName(type.name)) }] }
    case 'map':
      return { type: 'object', additionalProperties: typeSchema(type.values, schemas) }
    case 'list':
      return {
        type: 'array',
        items: typeSchema(type.items, schemas),
        'x-kubernetes-list-type': type.list,
        ...(type.keys.length > 0 ? { 'x-kubernetes-list-map-keys': [...type.keys] } : {}),
      }
    case 'scalar':
      return { ...SCALARS[type.scalar] }
    case 'untyped':
      return { type: 'object' }
  }
}
