/** The `fetch` subcommand: fetches, judges the model if asked to, and leaves the answer where the operator reads it. */
import { writeFile } from 'node:fs/promises'
import type { ResolveFailure, ResolveResult } from '../../protocol/resolve.ts'
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
    // ONNX Runtime is loaded for a judgement alone, and before the download, which is in vain where it cannot be.
    const judge = args.inspect ? (await import('./judge.ts')).judge : undefined
    const fetched = await fetchModel(args)
    args.log(
      `Fetched ${redactUri(fetched.uri)}: ${fetched.sizeBytes} bytes, sha256 ${fetched.sha256}${dataNote(fetched)}${versionNote(fetched)}`,
    )
    return judge === undefined ? { ok: true } : await judge(fetched, args.log)
  } catch (error) {
    return toFailure(error) satisfies ResolveFailure
  }
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
