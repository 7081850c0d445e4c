/** From a model file to what a session needs: read once, hashed, inspected, scanned, rewritten. Nothing is executed. */
import type { ModelContract } from '../../protocol/resolve.ts'
import { toContract } from './contract.ts'
import { readExternalFiles, type ExternalFile } from './external-data.ts'
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
  /** Of the model file, and of its external data together; 2 GiB by default. */
  readonly maxBytes?: number
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
export async function prepareModel(options: PrepareOptions): Promise<PreparedModel> {
  const { path, expectedSha256, maxBytes = MAX_MODEL_BYTES } = options
  const { bytes, sha256 } = await readModelFile(path, maxBytes)
  if (expectedSha256 !== undefined && expectedSha256.toLowerCase() !== sha256) {
    throw new ModelError(
      'DigestMismatch',
      `The model file has sha256 ${sha256}, but ${expectedSha256} was asked for; it was overwritten or damaged. Publish new bytes under a new version.`,
    )
  }
  const original = inspectBytes(bytes)
  scanModel(original)
  const rewriting = rewriteOutputs(bytes, original)
  const summary = rewriting.bytes === bytes ? original : inspectBytes(rewriting.bytes)
  return {
    bytes: rewriting.bytes,
    externalFiles: await readExternalFiles(original, path, maxBytes),
    sha256,
    sizeBytes: bytes.length,
    summary,
    contract: toContract(summary, rewriting.rewrites),
    signature: readSignature(summary, rewriting.classLabels),
    notes: rewriting.notes,
  }
}
