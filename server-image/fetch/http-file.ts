/** Fetches a file over HTTP into the sink: after a broken connection it goes on where it stopped, if the file is still the same. */
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressPolicy } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'
import { asFetchFailure, get, PassingFailure } from './http-request.ts'
import type { Patience } from './patience.ts'
import { tooLarge, type FileSink } from './sink.ts'
import { redactUri } from './source.ts'

const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 4_000

export interface HttpFetch {
  readonly url: URL
  readonly sink: FileSink
  readonly maxBytes: number
  readonly policy: AddressPolicy
  readonly patience: Patience
  /** A connection that brings nothing for this long is given up for a new one. */
  readonly stallMs: number
  readonly signal: AbortSignal | undefined
  readonly log: (line: string) => void
}

/** What the origin said about the version of the file. */
export interface HttpVersion {
  readonly etag?: string
  readonly lastModified?: string
}

export async function fetchOverHttp(fetch: HttpFetch): Promise<HttpVersion> {
  const { url, patience, log } = fetch
  let version: HttpVersion = {}
  for (let attempt = 0; ; attempt += 1) {
    try {
      await attemptOnce(fetch, version, (seen) => (version = seen))
      return version
    } catch (error) {
      if (fetch.signal?.aborted === true) throw stopped(url)
      if (!(error instanceof PassingFailure)) throw error
      const waitMs = Math.max(error.retryAfterMs ?? 0, backoffMs(attempt))
      if (waitMs >= patience.leftMs(performance.now())) throw givenUp(fetch, error)
      log(`${redactUri(url.href)}: ${error.message}; trying again in ${waitMs} ms`)
      await sleep(waitMs, undefined, fetch.signal ? { signal: fetch.signal } : {}).catch(() => {
        throw stopped(url)
      })
    }
  }
}

async function attemptOnce(
  fetch: HttpFetch,
  version: HttpVersion,
  seen: (version: HttpVersion) => void,
): Promise<void> {
  const { url, patience, policy, sink } = fetch
  const watchdog = new AbortController()
  const abort = () => watchdog.abort(new PassingFailure('nothing came any more'))
  const signal = fetch.signal ? AbortSignal.any([fetch.signal, watchdog.signal]) : watchdog.signal
  let timer = setTimeout(abort, patience.leftMs(performance.now()))
  const refresh = () => {
    clearTimeout(timer)
    timer = setTimeout(abort, Math.min(fetch.stallMs, patience.leftMs(performance.now())))
  }
  try {
    const validator = sink.sizeBytes > 0 ? strongValidator(version) : undefined
    if (validator === undefined) await sink.restart()
    const range = validator === undefined ? {} : { range: `bytes=${sink.sizeBytes}-`, 'if-range': validator }
    const headers = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'penstock', ...range }
    const response = await get({ url, headers, policy, signal })
    refresh()
    try {
      const totalBytes = await startBody(fetch, response)
      seen(versionOf(response))
      await readBody(fetch, response, { totalBytes, refresh })
    } finally {
      response.destroy()
    }
  } catch (error) {
    throw watchdog.signal.aborted ? (watchdog.signal.reason as PassingFailure) : asFetchFailure(error, url)
  } finally {
    clearTimeout(timer)
  }
}

/** Judges the answer's head and brings the sink to the offset where its body begins. Returns the whole file's size if it is told. */
async function startBody(fetch: HttpFetch, response: IncomingMessage): Promise<number | undefined> {
  const { sink, url, maxBytes } = fetch
  const status = response.statusCode ?? 0
  if (status !== 200 && status !== 206) {
    if (status === 416) await sink.restart()
    throw statusFailure(status, response, url)
  }
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new FetchError(
      'UnsupportedSource',
      `${redactUri(url.href)} is sent with content-encoding ${encoding}; have the server send the file as it is.`,
    )
  }
  if (status === 200) await sink.restart()
  const totalBytes = status === 200 ? contentLength(response) : await resumedTotal(sink, response)
  if (totalBytes !== undefined && totalBytes > maxBytes) throw tooLarge(maxBytes, totalBytes)
  return totalBytes
}

async function resumedTotal(sink: FileSink, response: IncomingMessage): Promise<number | undefined> {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '')
  if (range === null || Number(range[1]) !== sink.sizeBytes) {
    await sink.restart()
    throw new PassingFailure('the server answered with another part of the file than asked for')
  }
  return range[2] === '*' ? undefined : Number(range[2])
}

async function readBody(
  { sink, patience, url }: HttpFetch,
  response: IncomingMessage,
  { totalBytes, refresh }: { totalBytes: number | undefined; refresh: () => void },
): Promise<void> {
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (sink.sizeBytes === 0) refusePage(response, chunk, url)
    await sink.write(chunk)
    patience.reached(sink.sizeBytes, performance.now())
    refresh()
  }
  if (!response.complete || (totalBytes !== undefined && sink.sizeBytes < totalBytes)) {
    throw new PassingFailure(
      `the connection ended after ${sink.sizeBytes} of ${totalBytes ?? 'an unknown number of'} bytes`,
    )
  }
  if (sink.sizeBytes === 0) {
    throw new FetchError('InvalidModel', `${redactUri(url.href)} is empty (0 bytes); publish the file again.`)
  }
}

/** Sign-in and error pages come with status 200 often enough. */
function refusePage(response: IncomingMessage, head: Buffer, url: URL): void {
  const isPage = /^\s*(<!doctype html|<html)/i.test(head.subarray(0, 512).toString('latin1'))
  if (!isPage && !/^text\/html\b/i.test(response.headers['content-type'] ?? '')) return
  throw new FetchError(
    'InvalidModel',
    `${redactUri(url.href)} is an HTML page, not a file: probably a sign-in, error or preview page. Use the direct download URL.`,
  )
}

function statusFailure(status: number, response: IncomingMessage, url: URL): FetchError | PassingFailure {
  const where = redactUri(url.href)
  const isPassing = status >= 500 || [408, 416, 425, 429].includes(status)
  if (isPassing) return new PassingFailure(`the server answered ${status}`, { retryAfterMs: retryAfterMs(response) })
  if (status === 404 || status === 410)
    return new FetchError('NotFound', `${where} does not exist (status ${status}); check the URL.`)
  if (status === 401 || status === 403 || status === 407) {
    return new FetchError(
      'Forbidden',
      `${where} may not be read (status ${status}); check the credentials and the URL's expiry.`,
    )
  }
  return new FetchError(
    'InvalidArgument',
    `${where} answered with status ${status}, which brings no file; check the URL.`,
  )
}

function retryAfterMs(response: IncomingMessage): number | undefined {
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds * 1000) : undefined
}

function contentLength(response: IncomingMessage): number | undefined {
  const text = response.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

function versionOf({ headers }: IncomingMessage): HttpVersion {
  const { etag, 'last-modified': lastModified } = headers
  return { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }) }
}

/** RFC 9110, 13.1.5: If-Range needs a strong validator. A date has only seconds, in which a file may be written twice. */
function strongValidator({ etag }: HttpVersion): string | undefined {
  return etag?.startsWith('"') === true ? etag : undefined
}

function backoffMs(attempt: number): number {
  return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt)
}

function givenUp({ url, patience, sink }: HttpFetch, { message }: PassingFailure): FetchError {
  const where = redactUri(url.href)
  return patience.anythingCame
    ? new FetchError(
        'Interrupted',
        `${where} broke off after ${sink.sizeBytes} bytes and did not go on (${message}). It is tried again; check the server if that persists.`,
      )
    : new FetchError(
        'Unreachable',
        `${where} cannot be reached (${message}). It is tried again; check the host, the network policy and the URL.`,
      )
}

function stopped(url: URL): FetchError {
  return new FetchError(
    'Interrupted',
    `Fetching ${redactUri(url.href)} was stopped before it was complete. Start it again.`,
  )
}
