/**
 * Brings one file from where it is published to a path on disk, whole or not at all.
 *
 * The bytes stream into a temporary file beside the path, hashed and limited on the way, and take the path's name once they
 * are on disk. Every failure is a FetchError whose reason tells whether trying again may help. What the bytes mean is left
 * to `model/`.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { addressPolicy } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'
import { fetchOverHttp, type HttpFetch } from './http-file.ts'
import { fetchLocalFile } from './local-file.ts'
import { locate } from './locate.ts'
import type { Archive, Digests, HttpLocation, Location } from './location.ts'
import { Patience } from './patience.ts'
import type { Environment } from './environment.ts'
import type { Remote } from './persist.ts'
import { proxyFrom } from './proxy.ts'
import { digestMismatch, FileSink, type Received } from './sink.ts'
import { unpackModel } from './unpack.ts'

export interface FetchOptions {
  /** A plain path, or a URI of one of the schemes in `locate.ts`. */
  readonly uri: string
  /** Hex; what the file must be. */
  readonly sha256?: string
  /** Where the file shall be; its folder exists. */
  readonly out: string
  /** 2 GiB by default. */
  readonly maxBytes?: number
  /** Denies loopback and private addresses too; link-local and metadata addresses always are. */
  readonly denyPrivate?: boolean
  /** The fetch is given up when nothing came for this long; 18 s by default, so that it is reported within 20. */
  readonly noProgressMs?: number
  /** The fetch is given up after this long in any case; an hour by default. */
  readonly totalMs?: number
  /** A silent connection is replaced after this long; 8 s by default. */
  readonly stallMs?: number
  readonly signal?: AbortSignal
  readonly log?: (line: string) => void
  /** Where the sources' usual variables are looked up (`AWS_ACCESS_KEY_ID`, `HF_TOKEN`, `HTTPS_PROXY`, ...); empty by default: everything is anonymous and direct. */
  readonly env?: Environment
}

/** What the origin said about the version of the file. */
export interface FetchedVersion {
  /** Names exactly these bytes for good where the source can; else the URI as given. */
  readonly uri: string
  readonly etag?: string
  readonly lastModified?: string
}

export interface FetchResult extends Received, FetchedVersion {
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
  const already = expectedSha256 === undefined ? undefined : await digestOf(out)
  if (already !== undefined && already.sha256 === expectedSha256) {
    log(`${out} is there already`)
    return { ...already, uri, path: out }
  }
  const remote = remoteOf(options, log)
  const location = await locate(uri, remote)
  const sink = await FileSink.create({ out, maxBytes, digests: agreedDigests(location, expectedSha256) })
  try {
    const version = await fill(sink, location, { remote, out, maxBytes })
    return { ...(await sink.finish()), uri: location.uri ?? uri, ...version, path: out }
  } finally {
    await sink.discard()
  }
}

interface Filling {
  readonly remote: Remote
  readonly out: string
  readonly maxBytes: number
}

function fill(sink: FileSink, location: Location, filling: Filling): Promise<Partial<FetchedVersion>> {
  const { remote, maxBytes } = filling
  if (location.kind === 'file') return fetchLocalFile({ path: location.path, sink, maxBytes, signal: remote.signal })
  return location.archive === undefined
    ? fetchRemote({ remote, location, sink, maxBytes })
    : fetchArchive(sink, { ...location, archive: location.archive }, filling)
}

/** The archive is whole and the one that its source named before anything is taken out of it. */
async function fetchArchive(
  sink: FileSink,
  location: HttpLocation & { readonly archive: Archive },
  { remote, out, maxBytes }: Filling,
): Promise<Partial<FetchedVersion>> {
  const path = `${out}.archive`
  const whole = await FileSink.create({ out: path, maxBytes, digests: location.digests ?? {} })
  try {
    const version = await fetchRemote({ remote, location, sink: whole, maxBytes })
    await whole.finish()
    await unpackModel({ path, archive: location.archive, sink, maxBytes, signal: remote.signal })
    return version
  } finally {
    await whole.discard()
    await rm(path, { force: true })
  }
}

async function fetchRemote(fetch: HttpFetch): Promise<Partial<FetchedVersion>> {
  const head = await fetchOverHttp(fetch)
  const pinned = fetch.location.uri ?? fetch.location.pin?.(head)
  const { etag, 'last-modified': lastModified } = head
  return {
    ...(pinned === undefined ? {} : { uri: pinned }),
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  }
}

/** What a source says its bytes are is held against the pin before anything is downloaded. */
function agreedDigests(location: Location, pinned: string | undefined): Digests {
  // Of an archive the source knows the digest of the whole only.
  const isWhole = location.kind === 'file' || location.archive === undefined
  const claimed = (isWhole ? location.digests : undefined) ?? {}
  if (pinned !== undefined && claimed.sha256 !== undefined && claimed.sha256 !== pinned) {
    throw digestMismatch('sha256', claimed.sha256, pinned)
  }
  return { ...claimed, sha256: pinned ?? claimed.sha256 }
}

function remoteOf(options: FetchOptions, log: (line: string) => void): Remote {
  const { env = {} } = options
  return {
    policy: addressPolicy(options.denyPrivate ?? false),
    proxyFor: proxyFrom(env),
    patience: patienceOf(options),
    stallMs: options.stallMs ?? DEFAULT_STALL_MS,
    signal: options.signal,
    log,
    env,
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
