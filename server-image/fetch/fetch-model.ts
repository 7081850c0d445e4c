/**
 * Brings one file from where it is published to a path on disk, whole or not at all.
 *
 * The bytes stream into a temporary file beside the path, hashed and limited on the way, and take the path's name once they
 * are on disk. Every failure is a FetchError whose reason tells whether trying again may help. What the bytes mean is left
 * to `model/`.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { addressPolicy } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'
import { fetchOverHttp, type HttpVersion } from './http-file.ts'
import { fetchLocalFile } from './local-file.ts'
import { Patience } from './patience.ts'
import { FileSink, type Received } from './sink.ts'
import { parseSource } from './source.ts'

export interface FetchOptions {
  /** `file:///path`, a plain path, `http:` or `https:`. */
  readonly uri: string
  /** Hex; what the file must be. */
  readonly sha256?: string
  /** Where the file shall be; its folder exists. */
  readonly out: string
  /** 2 GiB by default. */
  readonly maxBytes?: number
  /** Denies loopback and private addresses too; link-local and metadata addresses always are. */
  readonly denyPrivate?: boolean
  /** The fetch is given up when nothing new came for this long; 18 s by default, so that it is reported within 20. */
  readonly noProgressMs?: number
  /** The fetch is given up after this long in any case; an hour by default. */
  readonly totalMs?: number
  /** A silent connection is replaced after this long; 8 s by default. */
  readonly stallMs?: number
  readonly signal?: AbortSignal
  readonly log?: (line: string) => void
}

export interface FetchResult extends Received, HttpVersion {
  /** The URI as given: neither files nor plain HTTP have a name for exactly these bytes. */
  readonly uri: string
  readonly path: string
}

export const DEFAULT_MAX_BYTES = 2 * 1024 ** 3
const DEFAULT_NO_PROGRESS_MS = 18_000
const DEFAULT_TOTAL_MS = 3_600_000
const DEFAULT_STALL_MS = 8_000

/** @throws FetchError only */
export async function fetchModel(options: FetchOptions): Promise<FetchResult> {
  const { uri, out, maxBytes = DEFAULT_MAX_BYTES, log = () => undefined } = options
  const expectedSha256 = parseSha256(options.sha256)
  const source = parseSource(uri)
  const already = expectedSha256 === undefined ? undefined : await digestOf(out)
  if (already !== undefined && already.sha256 === expectedSha256) {
    log(`${out} is there already`)
    return { ...already, uri, path: out }
  }
  const sink = await FileSink.create(out, maxBytes)
  try {
    const version =
      source.kind === 'file'
        ? await fetchLocalFile({ path: source.path, sink, maxBytes, signal: options.signal })
        : await fetchOverHttp({
            url: source.url,
            sink,
            maxBytes,
            policy: addressPolicy(options.denyPrivate ?? false),
            patience: patienceOf(options),
            stallMs: options.stallMs ?? DEFAULT_STALL_MS,
            signal: options.signal,
            log,
          })
    return { ...(await sink.finish(expectedSha256)), ...version, uri, path: out }
  } finally {
    await sink.discard()
  }
}

function patienceOf({ noProgressMs = DEFAULT_NO_PROGRESS_MS, totalMs = DEFAULT_TOTAL_MS }: FetchOptions): Patience {
  return new Patience(noProgressMs, totalMs, performance.now())
}

/** Lower case hex of a digest that may be written as `sha256:HEX`. */
function parseSha256(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const hex = text.replace(/^sha256:/, '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  throw new FetchError('InvalidArgument', 'The sha256 must be 64 hexadecimal digits; sha256sum prints it.')
}

/** A restarted init container finds the file that its predecessor fetched. */
async function digestOf(path: string): Promise<Received | undefined> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      sizeBytes += chunk.length
    }
    return { sha256: hash.digest('hex'), sizeBytes }
  } catch {
    return undefined
  }
}
