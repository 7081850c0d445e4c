import { compileRules } from '../cel/rules.ts'
import { ruleEnvironment } from '../cel/library.ts'
import type { FieldError } from '../field-error.ts'
import { isObject, listAt, objectAt, objectsAt, stringAt, textOf, type JsonObject, type KubeObject } from '../json.ts'
import type { ResourceType, ScalePaths, Subresource } from '../kinds/resource-type.ts'
import type { StructType } from '../structure/field-type.ts'
import { customStrategy } from './custom-strategy.ts'
import { findAll, parseJsonPath, plainFields } from './json-path.ts'
import { printerColumns } from './printer-columns.ts'
import { compileSchema, structureOf } from './schema-node.ts'

const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']

export interface CompiledCrd {
  /** One endpoint per served version. */
  readonly types: readonly ResourceType[]
  /** CEL rules that do not compile. */
  readonly errors: readonly FieldError[]
}

/** Compiles the served versions of a CRD. `metadata` is the structure of ObjectMeta. */
export function compileCrd(crd: KubeObject, metadata: StructType): CompiledCrd {
  const spec = objectAt(crd, 'spec') ?? {}
  const versions = objectsAt(spec, 'versions')
  const types: ResourceType[] = []
  const errors: FieldError[] = []
  for (const [index, version] of versions.entries()) {
    const compiled = compileVersion(spec, version, { index, metadata, single: versions.length === 1 })
    errors.push(...compiled.errors)
    if (version['served'] === true) types.push(compiled.type)
  }
  return { types, errors }
}

interface VersionPlace {
  readonly index: number
  readonly single: boolean
  readonly metadata: StructType
}

function compileVersion(
  spec: JsonObject,
  version: JsonObject,
  at: VersionPlace,
): { type: ResourceType; errors: readonly FieldError[] } {
  const openApi = objectAt(version, 'schema', 'openAPIV3Schema') ?? {}
  const schema = compileSchema(openApi)
  const path = at.single ? 'spec.validation.openAPIV3Schema' : `spec.versions[${at.index}].schema.openAPIV3Schema`
  const rules = compileRules(schema, ruleEnvironment(), path)
  const names = namesOf(spec, stringAt(version, 'name') ?? '')
  const subresources = objectAt(version, 'subresources') ?? {}
  const scale = isObject(subresources['scale']) ? scalePathsOf(subresources['scale']) : undefined
  const hasStatus = subresources['status'] !== undefined
  const served: Subresource[] = [...(hasStatus ? (['status'] as const) : []), ...(scale ? (['scale'] as const) : [])]
  const type: ResourceType = {
    ...names,
    namespaced: spec['scope'] === 'Namespaced',
    custom: true,
    verbs: VERBS,
    subresources: new Set(served),
    ...(scale ? { scale } : {}),
    shelf: `${names.group}/${names.plural}`,
    structure: structureOf(schema, at.metadata),
    strategy: customStrategy({
      ...names,
      schema,
      rules,
      hasStatus,
      metadata: at.metadata,
      ...(scale ? { scale } : {}),
    }),
    columns: printerColumns(version),
    selectableFields: selectableFieldsOf(version),
    openApi,
    ...(at.single ? {} : { convert: conversionOf(spec, names.group, names.version) }),
  }
  return { type, errors: rules.errors }
}

type Names = Pick<
  ResourceType,
  'group' | 'version' | 'plural' | 'singular' | 'kind' | 'listKind' | 'shortNames' | 'categories'
>

function namesOf(spec: JsonObject, version: string): Names {
  const names = objectAt(spec, 'names') ?? {}
  const kind = stringAt(names, 'kind') ?? ''
  return {
    group: stringAt(spec, 'group') ?? '',
    version,
    kind,
    plural: stringAt(names, 'plural') ?? '',
    singular: stringAt(names, 'singular') ?? kind.toLowerCase(),
    listKind: stringAt(names, 'listKind') ?? `${kind}List`,
    shortNames: listAt(names, 'shortNames').map(textOf),
    categories: listAt(names, 'categories').map(textOf),
  }
}

function scalePathsOf(scale: JsonObject): ScalePaths {
  const selector = stringAt(scale, 'labelSelectorPath')
  return {
    specReplicas: plainFields(stringAt(scale, 'specReplicasPath') ?? ''),
    statusReplicas: plainFields(stringAt(scale, 'statusReplicasPath') ?? ''),
    ...(selector ? { selector: plainFields(selector) } : {}),
  }
}

function selectableFieldsOf(version: JsonObject): ResourceType['selectableFields'] {
  const fields = objectsAt(version, 'selectableFields').map((each) => {
    const path = stringAt(each, 'jsonPath') ?? ''
    const steps = parseJsonPath(path) ?? []
    return [path.replace(/^\./, ''), (object: KubeObject) => textOf(findAll(object, steps)[0])] as const
  })
  return Object.fromEntries(fields)
}

/** Conversion strategy None: only the apiVersion differs between versions. */
function conversionOf(spec: JsonObject, group: string, version: string): NonNullable<ResourceType['convert']> {
  const storage = objectsAt(spec, 'versions').find((each) => each['storage'] === true)
  const stored = `${group}/${stringAt(storage, 'name') ?? version}`
  const shown = `${group}/${version}`
  const relabel = (object: KubeObject, apiVersion: string): KubeObject =>
    object.apiVersion === apiVersion ? object : { ...object, apiVersion }
  return { toStored: (object) => relabel(object, stored), fromStored: (object) => relabel(object, shown) }
}
