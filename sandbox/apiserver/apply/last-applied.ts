/**
 * From client-side to server-side apply: what `kubectl apply` wrote into its annotation is kubectl's own, so `kubectl apply
 * --server-side` does not conflict with it, and keeps the annotation up to date.
 */
import { isObject, stringAt, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { FieldType } from '../structure/field-type.ts'
import { FieldSet } from './field-set.ts'
import { compare, fieldSetOf } from './typed.ts'

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration'
const MAX_ANNOTATION_BYTES = 256 * 1024

/** Only an applier of this name takes over. */
export const KUBECTL = 'kubectl'

/** The fields that a client-side apply set and that have not changed since. */
export function fieldsLastApplied(live: KubeObject, structure: FieldType): FieldSet {
  const applied = parsed(stringAt(live, 'metadata', 'annotations', ANNOTATION))
  if (!applied) return new FieldSet()
  const { modified, added } = compare(live, applied, structure)
  return fieldSetOf(applied, structure).difference(modified).difference(added)
}

function parsed(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined
  try {
    const value = JSON.parse(text) as Json
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The applied object with its annotation, if it has one, saying what was applied now. */
export function withLastApplied(object: KubeObject, config: KubeObject): KubeObject {
  const annotations = object.metadata['annotations']
  if (!isObject(annotations) || annotations[ANNOTATION] === undefined) return object
  const text = `${JSON.stringify(withoutAnnotation(config))}\n`
  const { [ANNOTATION]: _old, ...others } = annotations
  const updated = text.length > MAX_ANNOTATION_BYTES ? others : { ...others, [ANNOTATION]: text }
  return { ...object, metadata: { ...object.metadata, annotations: updated } }
}

function withoutAnnotation(config: KubeObject): JsonObject {
  const { annotations, ...metadata } = config.metadata
  if (!isObject(annotations)) return config
  const { [ANNOTATION]: _own, ...others } = annotations
  return { ...config, metadata: { ...metadata, annotations: others } }
}
