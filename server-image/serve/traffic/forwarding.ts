import { RELAYED_HEADER } from '../../../protocol/headers.ts'

/** Headers that belong to one connection and not to the message (RFC 9110, 7.6.1), and those that every hop writes itself. */
const OF_THE_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  RELAYED_HEADER,
])

/**
 * A message's headers as they may be sent on.
 *
 * Headers that only `Connection` names as its own stay: we heed them ourselves, and a peer that saw another message than we do
 * could not be compared with us.
 * @param rawHeaders name, value, name, value ...
 */
export function sentOn(rawHeaders: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!OF_THE_HOP.has(name.toLowerCase())) kept.push(name, rawHeaders[index + 1] ?? '')
  }
  return kept
}

/** Length of a POST's line and headers, in bytes. @param headers name, value, name, value ... of one byte a character */
export function headerBytes(url: string, headers: readonly string[]): number {
  let bytes = `POST ${url} HTTP/1.1\r\n\r\n`.length
  // A colon and a space, or a line's end, behind each.
  for (const text of headers) bytes += text.length + 2
  return bytes
}
