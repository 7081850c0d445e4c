/** Fetches a file over HTTP into the sink: after a broken connection it goes on where it stopped, if the file is still the same. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { FetchError } from './fetch-error.ts'
import { PassingFailure, request } from './http-request.ts'
import type { HttpLocation } from './location.ts'
import { persist, type Attempt, type Remote } from './persist.ts'
import { redactUri } from './redact.ts'
import { refusalOf } from './refusal.ts'
import { tooLarge, type FileSink } from './sink.ts'

export interface HttpFetch {
  readonly remote: Remote
  readonly location: HttpLocation
  readonly sink: FileSink
}

/** Returns the head of the answer that brought the file. @throws FetchError */
export async function fetchOverHttp(fetch: HttpFetch): Promise<IncomingHttpHeaders> {
  let head: IncomingHttpHeaders = {}
  await persist(fetch.remote, fetch.location.url, (attempt) =>
    attemptOnce(fetch, attempt, { etag: head.etag, seen: (headers) => (head = headers) }),
  )
  return head
}

interface Version {
  /** Of what the sink holds by now. */
  readonly etag: string | undefined
  readonly seen: (headers: IncomingHttpHeaders) => void
}

async function attemptOnce(fetch: HttpFetch, { signal, heard }: Attempt, { etag, seen }: Version): Promise<void> {
  const { remote, location, sink } = fetch
  const validator = sink.sizeBytes > 0 ? strongValidator(etag) : undefined
  if (validator === undefined) await sink.restart()
  const range = validator === undefined ? {} : { range: `bytes=${sink.sizeBytes}-`, 'if-range': validator }
  const headers = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'penstock', ...range }
  const { url, authorize } = location
  const response = await request({ url, headers, authorize, policy: remote.policy, proxyFor: remote.proxyFor, signal })
  heard()
  try {
    const totalBytes = await startBody(fetch, response, validator)
    seen(response.headers)
    await readBody(fetch, response, { totalBytes, heard })
  } finally {
    response.destroy()
  }
}

/** Judges the answer's head and brings the sink to the offset where its body begins. Returns the whole file's size if it is told. */
async function startBody(
  fetch: HttpFetch,
  response: IncomingMessage,
  validator: string | undefined,
): Promise<number | undefined> {
  const { sink, location } = fetch
  const { maxBytes } = sink
  const { url } = location
  const status = response.statusCode ?? 0
  if (status !== 200 && status !== 206) {
    if (status === 416) await sink.restart()
    throw await refusalOf(response, url, location.explain)
  }
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new FetchError(
      'UnsupportedSource',
      `${redactUri(url.href)} is sent with content-encoding ${encoding}; have the server send the file as it is.`,
    )
  }
  if (status === 200) await sink.restart()
  const totalBytes = status === 200 ? contentLength(response) : await resumedTotal(sink, response, validator)
  if (totalBytes !== undefined && totalBytes > maxBytes) throw tooLarge(maxBytes, totalBytes)
  return totalBytes
}

async function resumedTotal(
  sink: FileSink,
  { headers }: IncomingMessage,
  validator: string | undefined,
): Promise<number | undefined> {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
  if (range === null || Number(range[1]) !== sink.sizeBytes) {
    await sink.restart()
    throw new PassingFailure('the server answered with another part of the file than asked for')
  }
  // Object stores may not know If-Range; then this is a part of a newer file. RFC 9110, 15.3.7: a part names its ETag.
  if (headers.etag !== validator) {
    await sink.restart()
    throw new PassingFailure('the file was replaced while it was fetched')
  }
  return range[2] === '*' ? undefined : Number(range[2])
}

async function readBody(
  { sink, remote, location: { url } }: HttpFetch,
  response: IncomingMessage,
  { totalBytes, heard }: { totalBytes: number | undefined; heard: () => void },
): Promise<void> {
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (sink.sizeBytes === 0) refusePage(response, chunk, url)
    await sink.write(chunk)
    remote.patience.reached(sink.sizeBytes, performance.now())
    heard()
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

function contentLength(response: IncomingMessage): number | undefined {
  const text = response.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

/** RFC 9110, 13.1.5: If-Range needs a strong validator. A date has only seconds, in which a file may be written twice. */
function strongValidator(etag: string | undefined): string | undefined {
  return etag?.startsWith('"') === true ? etag : undefined
}
