/** From a model file to what a session needs: read once, hashed, inspected, scanned, rewritten. Nothing is executed. */
import type { ModelContract } from '../../protocol/resolve.ts'
import { toContract } from './contract.ts'
import { MAX_EXTERNAL_BYTES, readExternalFiles, type ExternalFile } from './external-data.ts'
import { inspectBytes, type ModelSummary } from './inspect.ts'
import { ModelError } from './model-error.ts'
import { MAX_MODEL_BYTES, readModelFile } from './model-file.ts'
import { rewriteOutputs } from './rewrite.ts'
import { scanModel } from './scan.ts'
import { readSignature, type Signature } from './signature.ts'

export interface PrepareOptions {
  readonly path: string
  /** Hex. */
  readonly expectedSha256?: string
  /** Of the model file; 2 GiB by default. */
  readonly maxBytes?: number
}

/** A model file that was read, and may be loaded as far as can be told from it alone. */
export interface ReadModel {
  readonly bytes: Uint8Array
  /** Hex. */
  readonly sha256: string
  /** Of the file that was read. */
  readonly identity: string
  /** Of the bytes. */
  readonly summary: ModelSummary
}

export interface PreparedModel {
  /** The model as ONNX Runtime gets it. */
  readonly bytes: Uint8Array
  readonly externalFiles: readonly ExternalFile[]
  /** Hex, of the file as it is on disk. */
  readonly sha256: string
  readonly sizeBytes: number
  /** Of the model as it is loaded, after the rewrites. */
  readonly summary: ModelSummary
  readonly contract: ModelContract
  readonly signature: Signature
  /** What loading changes, one line each. */
  readonly notes: readonly string[]
}

/** @throws ModelError when the file is missing, too large, another than expected, no model, or not supported. */
export async function readModel({
  path,
  expectedSha256,
  maxBytes = MAX_MODEL_BYTES,
}: PrepareOptions): Promise<ReadModel> {
  const { bytes, sha256, identity } = await readModelFile(path, maxBytes)
  if (expectedSha256 !== undefined && expectedSha256.toLowerCase() !== sha256) {
    throw new ModelError(
      'DigestMismatch',
      `The model file has sha256 ${sha256}, but ${expectedSha256} was asked for; it was overwritten or damaged. Publish new bytes under a new version.`,
    )
  }
  const summary = inspectBytes(bytes)
  scanModel(summary)
  return { bytes, sha256, identity, summary }
}

/**
 * @param read the file, if it was read already
 * @throws ModelError as `readModel` does, or for its external data
 */
export async function prepareModel(options: PrepareOptions, read?: ReadModel): Promise<PreparedModel> {
  const { bytes, sha256, summary: original } = read ?? (await readModel(options))
  const rewriting = rewriteOutputs(bytes, original)
  const summary = rewriting.bytes === bytes ? original : inspectBytes(rewriting.bytes)
  return {
    bytes: rewriting.bytes,
    externalFiles: await readExternalFiles(original, options.path, MAX_EXTERNAL_BYTES),
    sha256,
    sizeBytes: bytes.length,
    summary,
    contract: toContract(summary, rewriting.rewrites),
    signature: readSignature(summary, rewriting.classLabels),
    notes: rewriting.notes,
  }
}
