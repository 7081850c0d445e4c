/** What holds of every object's metadata, whatever its kind (k8s.io/apimachinery/pkg/api/validation/objectmeta.go). */
import { forbiddenField, invalid, required, tooLong, type FieldError } from '../field-error.ts'
import { equal, objectAt, objectsAt, stringAt, valueAt, type Json, type KubeObject, textOf } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'
import { labelValueProblems, qualifiedNameProblems } from './names.ts'

const MAX_ANNOTATION_BYTES = 256 * 1024
const STANDARD_FINALIZERS = new Set(['foregroundDeletion', 'orphan', 'kubernetes'])

export function validateMetadata(object: KubeObject, type: ResourceType): FieldError[] {
  const errors: FieldError[] = []
  const { name } = object.metadata
  if (!name) errors.push(required('metadata.name', 'name or generateName is required'))
  else errors.push(...type.strategy.validateName(name, false).map((problem) => invalid('metadata.name', name, problem)))
  const generateName = stringAt(object, 'metadata', 'generateName')
  if (generateName) {
    const problems = type.strategy.validateName(generateName, true)
    errors.push(...problems.map((problem) => invalid('metadata.generateName', generateName, problem)))
  }
  return [
    ...errors,
    ...validateLabels(object),
    ...validateAnnotations(object),
    ...validateOwners(object),
    ...validateFinalizers(object),
  ]
}

/** Labels of any object or template, at the given path. */
export function validateLabels(object: Json, path = 'metadata.labels'): FieldError[] {
  return Object.entries(objectAt(object, 'metadata', 'labels') ?? {}).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalid(path, key, problem)),
    ...labelValueProblems(textOf(value)).map((problem) => invalid(path, value, problem)),
  ])
}

function validateAnnotations(object: KubeObject): FieldError[] {
  const annotations = Object.entries(objectAt(object, 'metadata', 'annotations') ?? {})
  const errors = annotations.flatMap(([key]) =>
    qualifiedNameProblems(key.toLowerCase()).map((problem) => invalid('metadata.annotations', key, problem)),
  )
  const bytes = annotations.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(textOf(value)),
    0,
  )
  if (bytes > MAX_ANNOTATION_BYTES) errors.push(tooLong('metadata.annotations', MAX_ANNOTATION_BYTES))
  return errors
}

function validateOwners(object: KubeObject): FieldError[] {
  const owners = objectsAt(object, 'metadata', 'ownerReferences')
  const errors = owners.flatMap((owner, index) =>
    (['apiVersion', 'kind', 'name', 'uid'] as const)
      .filter((field) => !stringAt(owner, field))
      .map((field) => {
        const path = `metadata.ownerReferences[${index}].${field}`
        return field === 'apiVersion'
          ? invalid(path, '', 'version must not be empty')
          : invalid(path, '', 'must not be empty')
      }),
  )
  const controllers = owners.filter((owner) => owner['controller'] === true)
  if (controllers.length > 1) {
    const [first, second] = controllers
    const detail = `Only one reference can have Controller set to true. Found "true" in references for ${stringAt(first, 'kind')}/${stringAt(first, 'name')} and ${stringAt(second, 'kind')}/${stringAt(second, 'name')}`
    errors.push(invalid('metadata.ownerReferences', owners, detail))
  }
  return errors
}

function validateFinalizers(object: KubeObject): FieldError[] {
  const finalizers = valueAt(object, 'metadata', 'finalizers')
  if (!Array.isArray(finalizers)) return []
  const errors = finalizers.flatMap((finalizer, index) =>
    qualifiedNameProblems(textOf(finalizer)).map((problem) =>
      invalid(`metadata.finalizers[${index}]`, finalizer, problem),
    ),
  )
  const unqualified = finalizers.filter((each) => !textOf(each).includes('/') && !STANDARD_FINALIZERS.has(textOf(each)))
  errors.push(
    ...unqualified.map((each) =>
      invalid('metadata.finalizers', each, 'name is neither a standard finalizer name nor is it fully qualified'),
    ),
  )
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(
      invalid('metadata.finalizers', finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'),
    )
  }
  return errors
}

/** What an update may not change in the metadata. */
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ]) {
    if (!equal(object.metadata[field], old.metadata[field])) {
      errors.push(invalid(`metadata.${field}`, object.metadata[field], 'field is immutable'))
    }
  }
  if (old.metadata['deletionTimestamp'] !== undefined) {
    const before = new Set(finalizersOf(old))
    const added = finalizersOf(object).filter((each) => !before.has(each))
    if (added.length > 0) {
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((each) => JSON.stringify(each)).join(', ')}}`
      errors.push(forbiddenField('metadata.finalizers', detail))
    }
  }
  return errors
}

export function finalizersOf(object: KubeObject): string[] {
  const finalizers = object.metadata['finalizers']
  return Array.isArray(finalizers) ? finalizers.map(String) : []
}
