/**
 * The head of a plain HTTP/1.1 request, of which there are no two readings.
 *
 * Only what every parser understands alike is read here: a POST in origin form, lines that end in CRLF, names that are tokens and come
 * once, values of visible characters, and a body of a length that is said in digits. All else is `undefined`, and for node:http to judge:
 * so nothing can be smuggled through a difference between the two (RFC 9112, 11.2), as there is nothing that they both read and differ in.
 */

export interface RequestHead {
  /** As it was sent. */
  readonly target: string
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[]
  /** Bytes of the body. */
  readonly bodyBytes: number
}

const METHOD = 'POST '
const VERSION = ' HTTP/1.1\r\n'
const CR = 13
const COLON = 58
const SPACE = 32

/** Of RFC 9110, 5.6.2; 2 for an upper-case letter. */
const TOKEN = new Uint8Array(128)
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") TOKEN[character.charCodeAt(0)] = 1
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') TOKEN[character.charCodeAt(0)] = 2

const LENGTH = /^\d{1,15}$/
/** What changes how a message is framed, or what becomes of its connection. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'http2-settings',
])

/** @param text all up to the empty line and the CRLF before it, without the empty line itself; one character for each byte */
export function readHead(text: string): RequestHead | undefined {
  if (!text.startsWith(METHOD)) return undefined
  const targetEnd = text.indexOf(' ', METHOD.length)
  if (targetEnd <= METHOD.length || !text.startsWith(VERSION, targetEnd)) return undefined
  const target = text.slice(METHOD.length, targetEnd)
  const headers: Record<string, string> = {}
  const rawHeaders: string[] = []
  let at = targetEnd + VERSION.length
  while (at < text.length) {
    const start = at
    let hasUpper = false
    let code = text.charCodeAt(at)
    while (code !== COLON) {
      const kind = code < 128 ? TOKEN[code] : 0
      if (kind === 0 || kind === undefined) return undefined
      if (kind === 2) hasUpper = true
      at += 1
      code = text.charCodeAt(at)
    }
    if (at === start) return undefined
    const asSent = text.slice(start, at)
    const name = hasUpper ? asSent.toLowerCase() : asSent
    at += text.charCodeAt(at + 1) === SPACE ? 2 : 1
    const end = valueEnd(text, at)
    if (end === -1 || headers[name] !== undefined || NOT_PLAIN.has(name)) return undefined
    const value = text.slice(at, end)
    headers[name] = value
    rawHeaders.push(asSent, value)
    at = end + 2
  }
  const { host, connection, 'content-length': length } = headers
  if (host === undefined || host === '' || length === undefined || !LENGTH.test(length)) return undefined
  if (connection !== undefined && connection !== 'keep-alive' && connection !== 'Keep-Alive') return undefined
  return { target, headers, rawHeaders, bodyBytes: Number(length) }
}

/** Where the CRLF behind a plain value is; -1 when the value is not plain: space around it, or control characters in it. */
function valueEnd(text: string, start: number): number {
  let at = start
  let code = text.charCodeAt(at)
  if (code === SPACE) return -1
  while (code >= SPACE && code < 127) {
    at += 1
    code = text.charCodeAt(at)
  }
  const isLine = code === CR && text.charCodeAt(at + 1) === 10
  return isLine && (at === start || text.charCodeAt(at - 1) !== SPACE) ? at : -1
}
