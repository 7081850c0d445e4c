/** What an answer means that brings no file. */
import type { IncomingMessage } from 'node:http'
import { FetchError } from './fetch-error.ts'
import { PassingFailure } from './http-request.ts'
import type { Explain } from './location.ts'
import { redactUri } from './redact.ts'

const MAX_BODY_BYTES = 16 * 1024

/** Reads the beginning of the answer's body; the source's own explanation comes first. */
export async function refusalOf(
  response: IncomingMessage,
  url: URL,
  explain: Explain | undefined,
): Promise<FetchError | PassingFailure> {
  const status = response.statusCode ?? 0
  if (isPassing(status)) {
    return new PassingFailure(`the server answered ${status}`, { retryAfterMs: retryAfterMs(response) })
  }
  const body = explain === undefined ? '' : await beginningOf(response)
  return explain?.({ status, headers: response.headers, body }) ?? byStatus(status, redactUri(url.href))
}

export function isPassing(status: number): boolean {
  return status >= 500 || [408, 416, 425, 429].includes(status)
}

function byStatus(status: number, where: string): FetchError {
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

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= MAX_BODY_BYTES) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_BODY_BYTES)
}

function retryAfterMs(response: IncomingMessage): number | undefined {
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds * 1000) : undefined
}
