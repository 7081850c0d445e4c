/**
 * Reduces Kubernetes' published JSON schemas to the structure that the sandbox's API server needs of its built-in kinds:
 * fields, types, required fields, list and map types, patch strategies. No descriptions, so the file stays small.
 *
 *     node scripts/generate-sandbox-schemas.ts PATH/v1.37.0-local/_definitions.json v1.37.0
 *
 * The input is the definitions file of the Python package `kubernetes-validate` (Apache-2.0), made from Kubernetes' OpenAPI (Apache-2.0).
 * What OpenAPI does not tell (protobuf numbers, omitempty) comes from the Go module k8s.io/api (Apache-2.0) by reflection, so Go is needed.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface SourceSchema {
  $ref?: string
  type?: string | string[]
  format?: string
  properties?: Record<string, SourceSchema>
  additionalProperties?: SourceSchema
  items?: SourceSchema
  required?: string[]
  oneOf?: unknown
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-map-type'?: string
  'x-kubernetes-patch-strategy'?: string
  'x-kubernetes-patch-merge-key'?: string
}

interface GoFact {
  /** Protobuf field number; of an embedded message's field, both numbers: `1.4`. */
  number: string
  empty: '' | '?' | '!'
}

/**
 * A field's text is its protobuf number, what becomes of an empty value, and its type: `2![#core.v1.Container`.
 * See sandbox/apiserver/structure/builtin-types.ts, which reads this form.
 */
type CompactField = string | { t: string; l?: string; k?: string[]; a?: 1; p?: string; m?: string }

const ROOTS = [
  'core.v1.Namespace core.v1.Pod core.v1.Service core.v1.ConfigMap core.v1.Secret core.v1.ServiceAccount core.v1.Event core.v1.Node',
  'core.v1.Binding events.v1.Event apps.v1.Deployment apps.v1.ReplicaSet apps.v1.ControllerRevision batch.v1.Job batch.v1.CronJob',
  'autoscaling.v2.HorizontalPodAutoscaler autoscaling.v1.Scale policy.v1.PodDisruptionBudget policy.v1.Eviction',
  'discovery.v1.EndpointSlice coordination.v1.Lease rbac.v1.Role rbac.v1.RoleBinding rbac.v1.ClusterRole',
  'rbac.v1.ClusterRoleBinding authorization.v1.SubjectAccessReview authorization.v1.SelfSubjectAccessReview',
  'apiextensions.v1.CustomResourceDefinition meta.v1.DeleteOptions authorization.v1.LocalSubjectAccessReview authorization.v1.SelfSubjectRulesReview',
].flatMap((line) => line.split(' '))

const SCALARS: Record<string, string> = { string: 's', integer: 'i', number: 'n', boolean: 'b' }
const SPECIAL: Record<string, string> = {
  'meta.v1.Time': 't',
  'meta.v1.MicroTime': 't',
  'meta.v1.FieldsV1': '*',
  'runtime.RawExtension': '*',
  'apiextensions.v1.JSON': '*',
  'apiextensions.v1.JSONSchemaPropsOrBool': '*',
  'apiextensions.v1.JSONSchemaPropsOrArray': '*',
  'apiextensions.v1.JSONSchemaPropsOrStringArray': '*',
  'api.resource.Quantity': 'q',
  'util.intstr.IntOrString': 'I',
}

const [definitionsPath, release] = process.argv.slice(2)
if (!definitionsPath || !release) {
  console.error('usage: node scripts/generate-sandbox-schemas.ts PATH/_definitions.json RELEASE')
  process.exit(2)
}

const parsed = JSON.parse(readFileSync(definitionsPath, 'utf8')) as { $defs: Record<string, SourceSchema> }
const definitions = new Map(Object.entries(parsed.$defs).map(([name, schema]) => [shortName(name), schema]))
const goFacts = join(import.meta.dirname, '../sandbox/apiserver/schemas/go-facts')
const facts = JSON.parse(
  execFileSync(process.env['GO'] ?? 'go', ['run', '.'], { cwd: goFacts, encoding: 'utf8' }),
) as Record<string, Record<string, GoFact>>
const types: Record<string, { f: Record<string, CompactField>; r?: string[]; a?: 1 }> = {}
for (const root of ROOTS) addType(root)

const output = {
  source: `Kubernetes ${release} OpenAPI (Apache-2.0), by way of kubernetes-validate (Apache-2.0), and k8s.io/api (Apache-2.0); reduced by scripts/generate-sandbox-schemas.ts`,
  types: Object.fromEntries(Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1))),
}
const target = join(import.meta.dirname, '../sandbox/apiserver/schemas/builtin-types.json')
writeFileSync(target, JSON.stringify(output) + '\n')
console.log(`${Object.keys(types).length} types, ${JSON.stringify(output).length} bytes`)

/** `io.k8s.api.core.v1.PodSpec` -> `core.v1.PodSpec` */
function shortName(name: string): string {
  return name.split('.').slice(-3).join('.')
}

function addType(name: string): void {
  if (types[name]) return
  const schema = definitions.get(name)
  if (!schema) throw new Error(`${name} is not among the definitions`)
  const fields: Record<string, CompactField> = {}
  types[name] = {
    f: fields,
    ...(schema.required ? { r: schema.required } : {}),
    ...(schema['x-kubernetes-map-type'] === 'atomic' ? { a: 1 as const } : {}),
  }
  for (const [field, of] of Object.entries(schema.properties ?? {}))
    fields[field] = compactField(of, facts[name]?.[field])
}

function compactField(schema: SourceSchema, fact: GoFact | undefined): CompactField {
  const t = `${fact?.number ?? ''}${fact?.empty ?? ''}${compactType(schema)}`
  const listType = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys']
  const strategy = schema['x-kubernetes-patch-strategy']
  const mergeKey = schema['x-kubernetes-patch-merge-key']
  const extras = {
    ...(listType && listType !== 'atomic' ? { l: listType } : {}),
    ...(keys ? { k: keys } : {}),
    ...(schema['x-kubernetes-map-type'] === 'atomic' ? { a: 1 as const } : {}),
    ...(strategy ? { p: strategy } : {}),
    ...(mergeKey ? { m: mergeKey } : {}),
  }
  return Object.keys(extras).length === 0 ? t : { t, ...extras }
}

function compactType(schema: SourceSchema): string {
  if (schema.$ref) return compactReference(shortName(schema.$ref.split('/').at(-1) ?? ''))
  const type = [schema.type ?? []].flat().find((each) => each !== 'null')
  if (type === 'array') return '[' + compactType(schema.items ?? {})
  if (type === 'object') return schema.additionalProperties ? '{' + compactType(schema.additionalProperties) : '*'
  if (type === 'string' && schema.format === 'byte') return 'y'
  return SCALARS[type ?? ''] ?? '*'
}

function compactReference(name: string): string {
  const special = SPECIAL[name]
  if (special) return special
  if (!definitions.get(name)?.properties) return '*'
  addType(name)
  return '#' + name
}
