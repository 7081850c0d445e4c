import type { FieldError } from '../field-error.ts'
import { equal, isObject, numberAt, type Json, type JsonObject, type KubeObject } from '../json.ts'
import { badRequest } from '../status.ts'
import { decodeStruct, TypeMismatch, zeroOf, type DecodeForm } from '../structure/decode.ts'
import type { StructType } from '../structure/field-type.ts'
import { subdomainName, type NameRule } from '../validation/names.ts'
import type { Decoded, Strategy, WriteContext } from './resource-type.ts'

/** What one built-in kind adds to the rules that all of them share. */
export interface KindRules {
  readonly name?: NameRule
  /** Fields whose change makes a new generation; without any the kind has no generation. */
  readonly generationOf?: readonly string[]
  /** The status that a new object has; a kind without one has no status endpoint. */
  readonly newStatus?: (object: KubeObject) => JsonObject
  readonly statusKeepsMetadata?: readonly string[]
  readonly conditionalUpdateOnly?: boolean
  readonly returnsDeleted?: boolean
  readonly orphansByDefault?: boolean
  readonly finalizersOnDelete?: readonly string[]
  applyDefaults?(object: KubeObject): void
  onCreate?(object: KubeObject, context: WriteContext): void
  onUpdate?(object: KubeObject, old: KubeObject, context: WriteContext): void
  validate?(object: KubeObject): FieldError[]
  validateUpdate?(object: KubeObject, old: KubeObject): FieldError[]
  validateStatusUpdate?(object: KubeObject, old: KubeObject): FieldError[]
  gracePeriodSeconds?(object: KubeObject, asked: number | undefined): number
  afterDelete?(object: KubeObject): void
}

interface Names {
  readonly kind: string
  readonly version: string
}

export function builtinStrategy(names: Names, structure: StructType, rules: KindRules): Strategy {
  const hasStatus = rules.newStatus !== undefined
  return {
    blank: zeroOf(structure) as JsonObject,
    resetFields: { main: hasStatus ? ['status'] : [], status: ['spec'] },
    validateName: rules.name ?? subdomainName,
    allowsUnconditionalUpdate: !rules.conditionalUpdateOnly,
    returnsDeleted: rules.returnsDeleted ?? false,
    orphansByDefault: rules.orphansByDefault ?? false,
    finalizersOnDelete: rules.finalizersOnDelete ?? [],
    decode: (object, form) => decodeBuiltin(object, structure, { ...names, form }),
    applyDefaults: (object) => rules.applyDefaults?.(object),
    prepareForCreate(object, context) {
      if (rules.newStatus) object['status'] = rules.newStatus(object)
      rules.onCreate?.(object, context)
      if (rules.generationOf) object.metadata['generation'] = 1
    },
    prepareForUpdate(object, old, context) {
      if (hasStatus) restore(object, old, 'status')
      rules.onUpdate?.(object, old, context)
      if (rules.generationOf?.some((field) => !equal(fieldOf(object, field), fieldOf(old, field)))) {
        object.metadata['generation'] = (numberAt(old, 'metadata', 'generation') ?? 0) + 1
      }
    },
    prepareForStatusUpdate(object, old) {
      restore(object, old, 'spec')
      for (const field of rules.statusKeepsMetadata ?? ['labels']) restore(object.metadata, old.metadata, field)
    },
    validate: (object) => rules.validate?.(object) ?? [],
    validateUpdate: (object, old) => [
      ...(rules.validate?.(object) ?? []),
      ...(rules.validateUpdate?.(object, old) ?? []),
    ],
    validateStatusUpdate: (object, old) => rules.validateStatusUpdate?.(object, old) ?? [],
    ...(rules.afterDelete ? { afterDelete: (object: KubeObject) => rules.afterDelete?.(object) } : {}),
    ...(rules.gracePeriodSeconds
      ? {
          gracePeriodSeconds: (object: KubeObject, asked: number | undefined) =>
            rules.gracePeriodSeconds?.(object, asked) ?? 0,
        }
      : {}),
  }
}

function decodeBuiltin(
  object: JsonObject,
  structure: StructType,
  { kind, version, form }: Names & { form: DecodeForm },
): Decoded {
  try {
    const { value, unknown } = decodeStruct(object, structure, form)
    if (!isObject(value['metadata'])) value['metadata'] = {}
    return { object: value as KubeObject, problems: unknown.map((path) => `unknown field ${JSON.stringify(path)}`) }
  } catch (error) {
    if (!(error instanceof TypeMismatch)) throw error
    throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${error.message}`)
  }
}

function fieldOf(object: KubeObject, field: string): Json | undefined {
  return field === 'annotations' ? object.metadata['annotations'] : object[field]
}

function restore(object: JsonObject, old: JsonObject, field: string): void {
  const value = old[field]
  if (value === undefined) delete object[field]
  else object[field] = value
}
