/**
 * The head of a plain HTTP/1.1 request, of which there are no two readings.
 *
 * Only what every parser understands alike is read here: a POST in origin form, lines that end in CRLF, names that are tokens and come
 * once, values of visible characters, no more of them than usual, and a body of a length that is said in digits. All else is `undefined`,
 * and for node:http to judge: so nothing can be smuggled through a difference between the two (RFC 9112, 11.2), as there is nothing that
 * they both read and differ in.
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

/** More are seldom sent, and node:http has a limit of its own. */
const MAX_HEADERS = 100
const METHOD = 'POST '
const VERSION = ' HTTP/1.1\r\n'
const LF = 10
const CR = 13
const SPACE = 32
const COLON = 58
const DELETE = 127

const UPPER = 2
/** By character code: 0 for what is in no token (RFC 9110, 5.6.2), UPPER for an upper-case letter. */
const TOKEN = new Uint8Array(128)
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") TOKEN[character.charCodeAt(0)] = 1
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') TOKEN[character.charCodeAt(0)] = UPPER

const LENGTH = /^\d{1,15}$/
const OF_FRAMING = [
  ...['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te', 'http2-settings', 'proxy-connection'],
  // Of the body, which is not read as it is here.
  'content-encoding',
]

/** @param text all up to the empty line, with the CRLF before it; one character for each byte */
export function readHead(text: string): RequestHead | undefined {
  if (!text.startsWith(METHOD)) return undefined
  const targetEnd = text.indexOf(' ', METHOD.length)
  if (targetEnd <= METHOD.length || !text.startsWith(VERSION, targetEnd)) return undefined
  const headers: Record<string, string> = {}
  const rawHeaders: string[] = []
  let at = targetEnd + VERSION.length
  while (at < text.length) {
    at = readLine(text, at, headers, rawHeaders)
    if (at === NOT_PLAIN || rawHeaders.length > 2 * MAX_HEADERS) return undefined
  }
  const bodyBytes = plainLength(headers)
  return bodyBytes === undefined
    ? undefined
    : { target: text.slice(METHOD.length, targetEnd), headers, rawHeaders, bodyBytes }
}

const NOT_PLAIN = -1

/** Adds the header of a line to the others. @returns where the next line begins; NOT_PLAIN when this one is not plain */
function readLine(text: string, start: number, headers: Record<string, string>, rawHeaders: string[]): number {
  let at = start
  let hasUpper = false
  let code = text.charCodeAt(at)
  while (code !== COLON) {
    const kind = TOKEN[code] ?? 0
    if (kind === 0) return NOT_PLAIN
    if (kind === UPPER) hasUpper = true
    at += 1
    code = text.charCodeAt(at)
  }
  const asSent = text.slice(start, at)
  const name = hasUpper ? asSent.toLowerCase() : asSent
  at += text.charCodeAt(at + 1) === SPACE ? 2 : 1
  const end = valueEnd(text, at)
  // A name that every object has, as `constructor`, is taken for one that came before.
  if (end === NOT_PLAIN || name === '' || headers[name] !== undefined) return NOT_PLAIN
  const value = text.slice(at, end)
  headers[name] = value
  rawHeaders.push(asSent, value)
  return end + 2
}

/** Where the CRLF behind a plain value is; NOT_PLAIN when there is space around it, or what is not visible in it. */
function valueEnd(text: string, start: number): number {
  let at = start
  let code = text.charCodeAt(at)
  if (code === SPACE) return NOT_PLAIN
  while (code >= SPACE && code < DELETE) {
    at += 1
    code = text.charCodeAt(at)
  }
  const isLine = code === CR && text.charCodeAt(at + 1) === LF
  return isLine && (at === start || text.charCodeAt(at - 1) !== SPACE) ? at : NOT_PLAIN
}

/** Length of the body; undefined when the headers say anything else of how the message is framed, or of its connection. */
function plainLength(headers: Readonly<Record<string, string>>): number | undefined {
  for (const name of OF_FRAMING) if (headers[name] !== undefined) return undefined
  const { host, connection, 'content-length': length } = headers
  if (host === undefined || host === '' || length === undefined || !LENGTH.test(length)) return undefined
  if (connection !== undefined && connection !== 'keep-alive' && connection !== 'Keep-Alive') return undefined
  return Number(length)
}
