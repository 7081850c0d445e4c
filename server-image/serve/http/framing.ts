import type { IncomingMessage } from 'node:http'
import { ApiError } from '../api-error.ts'

/**
 * What node:http lets pass and RFC 9112 does not: a request of which a proxy before us may have read something else. Nothing behind it on
 * its connection can be believed.
 */
export function framingFault({ httpVersion, headers, rawHeaders }: IncomingMessage): ApiError | undefined {
  const { host, 'transfer-encoding': coding } = headers
  // RFC 9112, 3.2.
  if (host === undefined && httpVersion !== '1.0') return new ApiError('invalid_http', 'The header host is missing.')
  if (timesOf('host', rawHeaders) > 1) return new ApiError('invalid_http', 'The header host must come once.')
  if (coding === undefined) return undefined
  // RFC 9112, 6.1.
  if (httpVersion === '1.0') {
    return new ApiError('invalid_http', 'HTTP/1.0 has no transfer codings; send a content-length.')
  }
  if (coding.toLowerCase() === 'chunked') return undefined
  const shown = JSON.stringify(coding.slice(0, 80))
  return new ApiError('not_implemented', `The transfer coding ${shown} is not supported; send "chunked" alone.`)
}

function timesOf(name: string, rawHeaders: readonly string[]): number {
  let times = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === name) times += 1
  return times
}
