/** CustomResourceDefinitions: names, versions and schemas that can be served; CEL rules that do not compile are refused here. */
import { compileCrd } from '../crd/custom-type.ts'
import { CLEANUP_FINALIZER } from '../crd/cleanup.ts'
import { schemaProblems } from '../crd/schema-problems.ts'
import { duplicate, invalid, notSupported, required, type FieldError } from '../field-error.ts'
import {
  ensureObject,
  listAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  type JsonObject,
  type KubeObject,
} from '../json.ts'
import type { StructType } from '../structure/field-type.ts'
import { labelName, serviceName, subdomainName } from '../validation/names.ts'
import type { KindRules } from './builtin-strategy.ts'

/** @param metadata the structure of ObjectMeta, part of every custom resource */
export function crdRules(metadata: StructType): KindRules {
  return {
    name: subdomainName,
    generationOf: ['spec'],
    conditionalUpdateOnly: true,
    finalizersOnDelete: [CLEANUP_FINALIZER],
    newStatus: (crd) => ({
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: storageVersions(crd),
    }),
    applyDefaults(crd) {
      const spec = ensureObject(crd, 'spec')
      const names = ensureObject(spec, 'names')
      const kind = stringAt(names, 'kind') ?? ''
      setDefault(names, 'singular', kind.toLowerCase())
      setDefault(names, 'listKind', `${kind}List`)
      setDefault(ensureObject(spec, 'conversion'), 'strategy', 'None')
    },
    validate(crd) {
      const errors = validateSpec(crd)
      return errors.length > 0 ? errors : [...compileCrd(crd, metadata).errors]
    },
    validateUpdate(crd, old) {
      const errors: FieldError[] = []
      for (const path of [['group'], ['scope'], ['names', 'plural'], ['names', 'kind']]) {
        const [before, after] = [stringAt(old, 'spec', ...path), stringAt(crd, 'spec', ...path)]
        if (before !== after) errors.push(invalid(`spec.${path.join('.')}`, after ?? '', 'field is immutable'))
      }
      return errors
    },
  }
}

function storageVersions(crd: KubeObject): string[] {
  return objectsAt(crd, 'spec', 'versions')
    .filter((version) => version['storage'] === true)
    .map((version) => stringAt(version, 'name') ?? '')
}

function validateSpec(crd: KubeObject): FieldError[] {
  const spec = objectAt(crd, 'spec') ?? {}
  const names = objectAt(spec, 'names') ?? {}
  const group = stringAt(spec, 'group') ?? ''
  const plural = stringAt(names, 'plural') ?? ''
  const errors: FieldError[] = []
  if (crd.metadata.name !== `${plural}.${group}`)
    errors.push(invalid('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'))
  if (!group) errors.push(required('spec.group'))
  else if (!group.includes('.')) errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'))
  const scopes = ['Cluster', 'Namespaced']
  const scope = stringAt(spec, 'scope') ?? ''
  if (!scope) errors.push(required('spec.scope'))
  else if (!scopes.includes(scope)) errors.push(notSupported('spec.scope', scope, scopes))
  if (!plural) errors.push(required('spec.names.plural'))
  else errors.push(...serviceName(plural, false).map((problem) => invalid('spec.names.plural', plural, problem)))
  const kind = stringAt(names, 'kind') ?? ''
  if (!kind) errors.push(required('spec.names.kind'))
  else
    errors.push(
      ...serviceName(kind.toLowerCase(), false).map((problem) =>
        invalid('spec.names.kind', kind, `may have mixed case, but should otherwise match: ${problem}`),
      ),
    )
  return [...errors, ...validateVersions(spec)]
}

function validateVersions(spec: JsonObject): FieldError[] {
  const versions = objectsAt(spec, 'versions')
  const errors: FieldError[] = []
  const seen = new Set<string>()
  if (versions.filter((each) => each['storage'] === true).length !== 1) {
    errors.push(
      invalid(
        'spec.versions',
        listAt(spec, 'versions').length,
        'must have exactly one version marked as storage version',
      ),
    )
  }
  for (const [index, version] of versions.entries()) {
    const at = `spec.versions[${index}]`
    const name = stringAt(version, 'name') ?? ''
    if (seen.has(name)) errors.push(duplicate(`${at}.name`, name))
    seen.add(name)
    errors.push(...labelName(name, false).map((problem) => invalid(`${at}.name`, name, problem)))
    const schema = objectAt(version, 'schema', 'openAPIV3Schema')
    const schemaPath = versions.length === 1 ? 'spec.validation.openAPIV3Schema' : `${at}.schema.openAPIV3Schema`
    if (!schema) errors.push(required(`${at}.schema.openAPIV3Schema`, 'schemas are required'))
    else errors.push(...schemaProblems(schema, schemaPath))
  }
  return errors
}
