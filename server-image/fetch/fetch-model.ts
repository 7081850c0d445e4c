/**
 * Brings a model from where it is published to a path on disk, with the files beside it that hold its data, whole or not at all.
 *
 * The bytes stream into temporary files beside their places, hashed and limited on the way, and take their names once all are on
 * disk. Every failure is an error whose reason tells whether trying again may help. What the bytes mean is left to `model/`.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { dataDigest, type DataFile } from '../model/data-digest.ts'
import { externalLocationsIn, MAX_EXTERNAL_BYTES } from '../model/external-data.ts'
import { quoted } from '../model/model-error.ts'
import { MAX_MODEL_BYTES } from '../model/model-file.ts'
import { addressPolicy } from './address-policy.ts'
import type { Environment } from './environment.ts'
import { FetchError } from './fetch-error.ts'
import { locate } from './locate.ts'
import type { Digests, Location } from './location.ts'
import { Patience } from './patience.ts'
import type { Remote } from './persist.ts'
import { proxyFrom } from './proxy.ts'
import { digestMismatch, type Received } from './sink.ts'
import { openSource, type FetchedVersion, type Receive, type Source, type SourceOptions } from './source.ts'
import { placeBelow, Staging } from './staging.ts'

export interface FetchOptions {
  /** A plain path, or a URI of one of the schemes in `locate.ts`. */
  readonly uri: string
  /** Hex; what the file must be. */
  readonly sha256?: string
  /** Hex; what the files beside it that hold its data must be, as of `dataDigest`. */
  readonly dataSha256?: string
  /** Where the file shall be; its folder exists, and gets the files beside it. */
  readonly out: string
  /** Of the model and its data together; of the model alone, never more than 2 GiB. */
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

export interface FetchResult extends Received, FetchedVersion {
  readonly path: string
  /** Of the data beside the model, as of `dataDigest`; absent when it has none. */
  readonly dataSha256?: string
  readonly dataSizeBytes?: number
}

export const DEFAULT_MAX_BYTES = MAX_EXTERNAL_BYTES
const DEFAULT_NO_PROGRESS_MS = 18_000
const DEFAULT_TOTAL_MS = 3_600_000
const DEFAULT_STALL_MS = 8_000

/** @throws FetchError, or ModelError for a model that names its data in a way that is not allowed */
export async function fetchModel(options: FetchOptions): Promise<FetchResult> {
  const { uri, out, log = () => undefined } = options
  const pins: Pins = {
    sha256: parseSha256(options.sha256),
    dataSha256: parseSha256(options.dataSha256, 'data-sha256'),
  }
  const already = await presentModel(out, pins)
  if (already !== undefined) {
    log(`${out} is there already`)
    return { ...already, uri, path: out }
  }
  const remote = remoteOf(options, log)
  const location = await locate(uri, remote)
  const fetched = await fetchFrom(location, { pins, remote, out, maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES })
  // What names the model alone does not lead to the data of one that has some.
  const pinned = fetched.dataSha256 === undefined ? fetched.uri : (location.uriForNeighbours ?? fetched.uri)
  return { ...fetched, uri: pinned ?? location.uri ?? uri, path: out }
}

interface Pins {
  readonly sha256: string | undefined
  readonly dataSha256: string | undefined
}

interface Fetching extends SourceOptions {
  readonly pins: Pins
}

type Fetched = Omit<FetchResult, 'path' | 'uri'> & Partial<FetchedVersion>

/** Law: no file takes its place before all of them are whole and the expected ones; the model is the last. */
async function fetchFrom(location: Location, fetching: Fetching): Promise<Fetched> {
  const { pins, out, maxBytes } = fetching
  const source = openSource(location, fetching)
  const staging = new Staging(maxBytes)
  try {
    const sink = await staging.sink(out, agreedDigests(location, pins.sha256), MAX_MODEL_BYTES)
    const version = await source.fetchModel(sink)
    const model = await staging.seal(sink)
    const data = await fetchData(source, await externalLocationsIn(sink.partPath), { out, staging })
    const dataSha256 = data.length === 0 ? undefined : dataDigest(data)
    if (pins.dataSha256 !== undefined && dataSha256 !== pins.dataSha256) throw dataMismatch(data, pins.dataSha256)
    await staging.place()
    return { ...model, ...version, ...(dataSha256 !== undefined && { dataSha256, dataSizeBytes: sizeOf(data) }) }
  } finally {
    await source.close()
    await staging.discard()
  }
}

interface ReceivedData extends DataFile {
  readonly sizeBytes: number
}

interface Placing {
  readonly out: string
  readonly staging: Staging
}

/** The files that hold the model's tensors, in the places beside the model where it looks for them. */
async function fetchData(
  source: Source,
  locations: readonly string[],
  { out, staging }: Placing,
): Promise<ReceivedData[]> {
  const files: ReceivedData[] = []
  const receive: Receive = async (location, write) => {
    try {
      if (location === basename(out)) throw new FetchError('InvalidModel', 'this is the place of the model itself.')
      const sink = await staging.sink(await placeBelow(dirname(out), location))
      await write(sink)
      files.push({ location, ...(await staging.seal(sink)) })
    } catch (error) {
      throw inData(location, error)
    }
  }
  if (locations.length > 0) await source.fetchBeside(locations, receive)
  return files
}

/** Whoever named the model alone has to know why another file is asked for. */
function inData(location: string, error: unknown): unknown {
  if (!(error instanceof FetchError)) return error
  const message = `The model keeps data in ${quoted(location)} beside it: ${error.message}`
  return new FetchError(error.reason, message, { cause: error })
}

function dataMismatch(files: readonly ReceivedData[], expected: string): FetchError {
  if (files.length === 0) {
    return new FetchError(
      'DigestMismatch',
      `The model keeps no data beside it, but such of digest ${expected} was asked for.`,
    )
  }
  const names = files.slice(0, 5).map(({ location }) => quoted(location))
  return new FetchError(
    'DigestMismatch',
    `The data beside the model (${names.join(', ')}${files.length > 5 ? ', ...' : ''}) has the digest ${dataDigest(files)}, but ${expected} was asked for; it was overwritten or damaged. Publish new bytes under a new version.`,
  )
}

function sizeOf(files: readonly ReceivedData[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
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
function parseSha256(text: string | undefined, name = 'sha256'): string | undefined {
  if (text === undefined) return undefined
  const hex = text.replace(/^sha256:/, '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  throw new FetchError('InvalidArgument', `The ${name} must be 64 hexadecimal digits; sha256sum prints it.`)
}

/** A restarted init container finds the files that its predecessor fetched. Nobody knows whether unpinned data is still the same. */
async function presentModel(out: string, pins: Pins): Promise<Omit<Fetched, 'uri'> | undefined> {
  const model = pins.sha256 === undefined ? undefined : await digestOf(out)
  if (model === undefined || model.sha256 !== pins.sha256) return undefined
  const locations = await externalLocationsIn(out)
  if (locations.length === 0) return pins.dataSha256 === undefined ? model : undefined
  if (pins.dataSha256 === undefined) return undefined
  const files: ReceivedData[] = []
  for (const location of locations) {
    const found = await digestOf(join(dirname(out), location))
    if (found === undefined) return undefined
    files.push({ location, ...found })
  }
  const dataSha256 = dataDigest(files)
  return dataSha256 === pins.dataSha256 ? { ...model, dataSha256, dataSizeBytes: sizeOf(files) } : undefined
}

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
