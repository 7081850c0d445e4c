import type { FieldError } from '../field-error.ts'
import type { JsonObject, KubeObject } from '../json.ts'
import type { DecodeForm } from '../structure/decode.ts'
import type { FieldType } from '../structure/field-type.ts'
import type { TableColumn } from '../table/column.ts'

/** Where a custom resource keeps what its scale subresource shows, as paths of field names. */
export interface ScalePaths {
  readonly specReplicas: readonly string[]
  readonly statusReplicas: readonly string[]
  readonly selector?: readonly string[]
}

export type Subresource = 'status' | 'scale' | 'log' | 'eviction' | 'finalize' | 'token' | 'binding'

/** What decoding found in a request's object; the caller decides what the field validation level makes of it. */
export interface Decoded {
  readonly object: KubeObject
  /** `unknown field "spec.foo"`, `duplicate field ...` */
  readonly problems: readonly string[]
}

/** What a strategy may know besides the object that is written. */
export interface WriteContext {
  readonly now: string
  readonly dryRun: boolean
  readonly warn: (warning: string) => void
}

/**
 * What is particular about one kind; the order in which a write asks is the real API server's: decode, default, track the
 * fields' managers, prepare, validate.
 */
export interface Strategy {
  /** Checks types and drops what the schema does not know. Throws a 400 for a wrong type. */
  decode(object: JsonObject, form: DecodeForm): Decoded
  applyDefaults(object: KubeObject): void
  prepareForCreate(object: KubeObject, context: WriteContext): void
  /** Restores what this endpoint may not write, and bumps the generation. */
  prepareForUpdate(object: KubeObject, old: KubeObject, context: WriteContext): void
  prepareForStatusUpdate(object: KubeObject, old: KubeObject): void
  validate(object: KubeObject): FieldError[]
  validateUpdate(object: KubeObject, old: KubeObject): FieldError[]
  validateStatusUpdate(object: KubeObject, old: KubeObject): FieldError[]
  /** Called once an object is gone from the store, e.g. to free an address. */
  afterDelete?(object: KubeObject): void
  /** What a reader sees, where that differs from what is stored (defaults added to a CRD later). */
  onRead?(object: KubeObject): KubeObject
  /** What a new object looks like before the user's fields: fields in it are not new for the record of managers. */
  readonly blank: JsonObject
  /** Top-level fields that each endpoint leaves alone, so nobody becomes their manager through it. */
  /** May a PUT leave out the resourceVersion? */
  readonly allowsUnconditionalUpdate: boolean
  /** Is a deletion answered with the deleted object rather than a Status? */
  readonly returnsDeleted: boolean
  /** Seconds that a deletion waits for a kubelet; undefined for kinds that go at once. */
  gracePeriodSeconds?(object: KubeObject, asked: number | undefined): number
  /** Finalizers that the first deletion puts on an object (a CRD waits for its objects). */
  readonly finalizersOnDelete?: readonly string[]
  /** Dependents are orphaned when a DELETE does not say what becomes of them. */
  readonly orphansByDefault: boolean
  readonly resetFields: { readonly main: readonly string[]; readonly status: readonly string[] }
  readonly validateName: (name: string, prefix: boolean) => string[]
}

/** One endpoint of the API: a resource in one version. Versions of the same resource share a shelf in the store. */
export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  /** Defined by a CRD. Items in lists of built-in kinds carry no apiVersion and kind, those of custom ones do. */
  readonly custom: boolean
  readonly verbs: readonly string[]
  readonly subresources: ReadonlySet<Subresource>
  readonly scale?: ScalePaths
  readonly shelf: string
  readonly structure: FieldType
  readonly strategy: Strategy
  readonly columns: readonly TableColumn[]
  /** Values that a field selector can ask for, besides metadata.name and metadata.namespace. */
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>
  /** Virtual resources (access reviews) answer a create and store nothing. */
  readonly answerCreate?: (object: KubeObject, user: string) => KubeObject
  /** A custom resource's schema as its CRD gives it. */
  readonly openApi?: JsonObject
  /** The stored form's conversion where this version shows the resource differently (events). */
  readonly convert?: { toStored(object: KubeObject): KubeObject; fromStored(object: KubeObject): KubeObject }
}

export function apiVersionOf(type: { group: string; version: string }): string {
  return type.group ? `${type.group}/${type.version}` : type.version
}
