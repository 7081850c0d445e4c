/**
 * What a resolve Job (`fetch --inspect`) answers, through its container's termination message (4,096 bytes at most).
 */

export const TERMINATION_MESSAGE_MAX_BYTES = 4096

export type ResolveResult = Resolved | ResolveFailure

export interface Resolved {
  readonly ok: true
  /** The URI that names these exact bytes for good where the source has such a thing (a version id, a commit); else the URI as given. */
  readonly uri: string
  /** Hex sha256 of the model file. */
  readonly sha256: string
  readonly sizeBytes: number
  /** Hex; binds the files beside the model that hold its tensors. Absent when there are none. */
  readonly dataSha256?: string
  readonly contract: ModelContract
}

export interface ModelContract {
  readonly inputs: readonly TensorContract[]
  readonly outputs: readonly TensorContract[]
  /** Opset versions by domain; the default domain is ''. */
  readonly opsets: Readonly<Record<string, number>>
  readonly irVersion: number
  /** Names of the rewrites that loading needs, for example `ZipMap`. */
  readonly rewrites: readonly string[]
  /** True when inputs or outputs were cut to fit the message; the counts below are of the whole. */
  readonly truncated?: true
  readonly inputCount?: number
  readonly outputCount?: number
}

export interface TensorContract {
  readonly name: string
  /** Open Inference Protocol datatype: FP32, FP64, INT64, BYTES, BOOL ... */
  readonly datatype: string
  /** -1 is a dimension that may vary. */
  readonly shape: readonly number[]
}

export interface ResolveFailure {
  readonly ok: false
  readonly reason: ResolveFailureReason
  /** One line for a person: what was wrong, with which URI, and what to do. Never holds a credential. */
  readonly message: string
}

/** `Unreachable` and `Interrupted` may pass by themselves and are tried again; everything else needs a person. */
export type ResolveFailureReason =
  | 'Unreachable'
  | 'Interrupted'
  | 'NotFound'
  | 'Forbidden'
  | 'TooLarge'
  | 'DigestMismatch'
  | 'InvalidModel'
  | 'UnsupportedModel'
  | 'UnsupportedSource'
  | 'InvalidArgument'
