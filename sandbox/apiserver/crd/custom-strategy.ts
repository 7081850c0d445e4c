/** How custom resources of one CRD version are decoded, defaulted and judged. */
import { validateByRules, type RuleTree } from '../cel/rules.ts'
import type { FieldError } from '../field-error.ts'
import { clone, equal, isObject, numberAt, type JsonObject, type KubeObject } from '../json.ts'
import type { Decoded, Strategy } from '../kinds/resource-type.ts'
import { badRequest } from '../status.ts'
import { decodeStruct, TypeMismatch, type DecodeForm } from '../structure/decode.ts'
import type { StructType } from '../structure/field-type.ts'
import { subdomainName } from '../validation/names.ts'
import { applySchemaDefaults, lacksDefaults, prune } from './prune.ts'
import type { SchemaNode } from './schema-node.ts'
import { validateBySchema } from './validate.ts'

export interface CustomKind {
  readonly kind: string
  readonly version: string
  readonly schema: SchemaNode
  readonly rules: RuleTree
  readonly hasStatus: boolean
  readonly metadata: StructType
}

export function customStrategy(custom: CustomKind): Strategy {
  const { schema, rules, hasStatus } = custom
  const reads = new WeakMap<KubeObject, KubeObject>()
  const validate = (object: KubeObject, old?: KubeObject): FieldError[] => {
    const errors = validateBySchema(withoutMetadata(object), old && withoutMetadata(old), schema)
    return errors.length > 0 ? errors : validateByRules(object, old, schema, rules)
  }
  return {
    blank: { metadata: {} },
    resetFields: { main: hasStatus ? ['status'] : [], status: ['spec'] },
    validateName: subdomainName,
    allowsUnconditionalUpdate: false,
    returnsDeleted: false,
    orphansByDefault: false,
    decode: (object, form) => decodeCustom(object, custom, form),
    applyDefaults: (object) => applySchemaDefaults(object, schema),
    prepareForCreate(object) {
      if (hasStatus) delete object['status']
      object.metadata['generation'] = 1
    },
    prepareForUpdate(object, old) {
      if (hasStatus) restore(object, old, 'status')
      if (!equal(desired(object, hasStatus), desired(old, hasStatus))) {
        object.metadata['generation'] = (numberAt(old, 'metadata', 'generation') ?? 0) + 1
      }
    },
    prepareForStatusUpdate(object, old) {
      const { status } = object
      const { managedFields } = object.metadata
      for (const field of Object.keys(object)) delete object[field]
      Object.assign(object, old)
      object.metadata = { ...old.metadata }
      if (managedFields === undefined) delete object.metadata['managedFields']
      else object.metadata['managedFields'] = managedFields
      if (status === undefined) delete object['status']
      else object['status'] = status
    },
    validate: (object) => validate(object),
    validateUpdate: validate,
    validateStatusUpdate: validate,
    onRead(stored) {
      const known = reads.get(stored)
      if (known) return known
      const shown = lacksDefaults(stored, schema) ? clone(stored) : stored
      if (shown !== stored) applySchemaDefaults(shown, schema)
      reads.set(stored, shown)
      return shown
    },
  }
}

function decodeCustom(sent: JsonObject, { kind, version, schema, metadata }: CustomKind, form: DecodeForm): Decoded {
  const object = clone(sent)
  const problems: string[] = []
  const sentMetadata = object['metadata']
  if (isObject(sentMetadata)) {
    try {
      const { value, unknown } = decodeStruct(sentMetadata, metadata, form)
      object['metadata'] = value
      problems.push(...unknown.map((path) => `unknown field ${JSON.stringify(`metadata.${path}`)}`))
    } catch (error) {
      if (!(error instanceof TypeMismatch)) throw error
      throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${error.message}`)
    }
  } else {
    object['metadata'] = {}
  }
  problems.push(...prune(object, schema).map((path) => `unknown field ${JSON.stringify(path)}`))
  return { object: object as KubeObject, problems }
}

/** The metadata is not the CRD's to judge, but for rules on the name. */
function withoutMetadata(object: KubeObject): JsonObject {
  const { metadata: _metadata, ...rest } = object
  return rest
}

/** Everything that makes a generation. */
function desired(object: KubeObject, hasStatus: boolean): JsonObject {
  const rest = withoutMetadata(object)
  if (hasStatus) delete rest['status']
  return rest
}

function restore(object: JsonObject, old: JsonObject, field: string): void {
  const value = old[field]
  if (value === undefined) delete object[field]
  else object[field] = value
}
