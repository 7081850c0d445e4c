/** The `fetch` subcommand: fetches, judges the model if asked to, and leaves the answer where the operator reads it. */
import { writeFile } from 'node:fs/promises'
import {
  TERMINATION_MESSAGE_MAX_BYTES,
  type Resolved,
  type ResolveFailure,
  type ResolveResult,
} from '../../protocol/resolve.ts'
import { fitContract, jsonBytes } from '../model/contract.ts'
import { ModelError } from '../model/model-error.ts'
import { toFailure } from './fetch-error.ts'
import { fetchModel, type FetchOptions, type FetchResult } from './fetch-model.ts'
import { redactUri } from './redact.ts'

export interface FetchArguments extends FetchOptions {
  /** Also checks that the model can be served, and answers with its contract. */
  readonly inspect: boolean
  /** Where Kubernetes collects a container's last words. */
  readonly terminationLog?: string
  readonly log: (line: string) => void
}

/** Returns the exit code: 0 when the file is in its place (and, with `inspect`, can be served), else 1. */
export async function runFetch(args: FetchArguments): Promise<0 | 1> {
  const { log, terminationLog } = args
  const result = await resolveModel(args)
  if (!result.ok) log(`${result.reason}: ${result.message}`)
  // Without `inspect` there is no contract, so success has nothing to say.
  if (terminationLog !== undefined && (args.inspect || !result.ok)) {
    await writeFile(terminationLog, JSON.stringify(result)).catch((error: unknown) => {
      log(`${terminationLog} cannot be written: ${(error as Error).message}`)
    })
  }
  return result.ok ? 0 : 1
}

async function resolveModel(args: FetchArguments): Promise<ResolveResult | { readonly ok: true }> {
  try {
    const fetched = await fetchModel(args)
    args.log(
      `Fetched ${redactUri(fetched.uri)}: ${fetched.sizeBytes} bytes, sha256 ${fetched.sha256}${dataNote(fetched)}${versionNote(fetched)}`,
    )
    return args.inspect ? await judge(fetched, args.log) : { ok: true }
  } catch (error) {
    return toFailure(error) satisfies ResolveFailure
  }
}

/** Loads the model for real and runs it once, so that a bad file fails here and not in a serving pod. */
async function judge(fetched: FetchResult, log: (line: string) => void): Promise<Resolved> {
  const { uri, path, sha256, sizeBytes, dataSha256 } = fetched
  // ONNX Runtime is loaded for this alone: most fetches only bring the file.
  const [{ loadModel }, { warmUp }] = await Promise.all([import('../model/session.ts'), import('../model/warm-up.ts')])
  const model = await loadModel({ path, expectedSha256: sha256 })
  model.notes.forEach(log)
  const warm = warmUp(model)
  model.dispose()
  if (warm.outcome === 'failed') {
    throw new ModelError(
      'InvalidModel',
      `The model loads but does not compute: ${warm.reason}. Check it with onnxruntime in Python and export it again.`,
    )
  }
  log(warm.outcome === 'ran' ? 'The model loads and computes.' : `The model loads; it was not run. ${warm.reason}`)
  const data = dataSha256 === undefined ? {} : { dataSha256 }
  return fitResult({ ok: true, uri, sha256, sizeBytes, ...data, contract: model.contract })
}

/** Cuts the contract so that the whole answer fits a termination message. */
export function fitResult(resolved: Resolved): Resolved {
  const frameBytes = jsonBytes({ ...resolved, contract: {} })
  return { ...resolved, contract: fitContract(resolved.contract, TERMINATION_MESSAGE_MAX_BYTES - frameBytes) }
}

function dataNote({ dataSha256, dataSizeBytes }: FetchResult): string {
  return dataSha256 === undefined ? '' : `; data beside it: ${dataSizeBytes} bytes, data-sha256 ${dataSha256}`
}

function versionNote({ etag, lastModified }: FetchResult): string {
  return [
    etag === undefined ? '' : `, ETag ${etag}`,
    lastModified === undefined ? '' : `, last modified ${lastModified}`,
  ].join('')
}
