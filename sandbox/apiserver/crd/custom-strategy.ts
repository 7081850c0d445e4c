/** How custom resources of one CRD version are decoded, defaulted and judged. */
import { validateByRules, type RuleTree } from '../cel/rules.ts'
import { invalid, type FieldError } from '../field-error.ts'
import { clone, equal, isObject, numberAt, textOf, valueAt, type JsonObject, type KubeObject } from '../json.ts'
import type { Decoded, ScalePaths, Strategy } from '../kinds/resource-type.ts'
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
  readonly scale?: ScalePaths
}

/** An object of the wrong shape is not put before rules, which are written for the right one. */
const BLOCKING = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])
const RULES_NOT_CHECKED = invalid(
  '<nil>',
  null,
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
)

function isBlocking({ reason }: FieldError): boolean {
  return BLOCKING.has(reason)
}

/** What the scale subresource reads must be numbers of replicas. */
function scaleErrors(object: KubeObject, scale: ScalePaths | undefined): FieldError[] {
  return [scale?.specReplicas ?? [], scale?.statusReplicas ?? []].flatMap((path) => {
    const value = path.length === 0 ? undefined : valueAt(object, ...path)
    const at = `.${path.join('.')}`
    if (value === undefined || value === null) return []
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      const type = typeof value === 'number' ? 'float64' : typeof value
      return [invalid(at, 0, `${at} accessor error: ${textOf(value)} is of the type ${type}, expected int64`)]
    }
    if (value < 0) return [invalid(at, value, 'should be a non-negative integer')]
    return value > MAX_INT32 ? [invalid(at, value, `should be less than or equal to ${MAX_INT32}`)] : []
  })
}

const MAX_INT32 = 2_147_483_647

export function customStrategy(custom: CustomKind): Strategy {
  const { schema, rules, hasStatus, scale } = custom
  const reads = new WeakMap<KubeObject, KubeObject>()
  const validate = (object: KubeObject, old?: KubeObject): FieldError[] => {
    const errors = [
      ...validateBySchema(withoutMetadata(object), old && withoutMetadata(old), schema),
      ...scaleErrors(object, scale),
    ]
    if (rules.rules.size === 0) return errors
    return [...errors, ...(errors.some(isBlocking) ? [RULES_NOT_CHECKED] : validateByRules(object, old, schema, rules))]
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
