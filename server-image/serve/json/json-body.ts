/** JSON from strangers: valid UTF-8, not too deep, and when it is wrong the answer says where. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../api-error.ts'
import { jsonFault } from './json-fault.ts'

/** Brackets inside brackets: tensors have as many as dimensions, so this is far above every honest request. */
export const MAX_DEPTH = 32

/** Only text with such a number holds an integer beyond 2^53 that fits 64 bits: the many digits of an ordinary double are a fraction's. */
const LONG_INTEGER = /(?:^|[[,:\s])-?\d{16,20}(?![\d.eE])/
const INTEGER = /^-?\d+$/
/** The longest 64-bit integers; longer ones fit no datatype, and take long to read. */
const MAX_EXACT_CHARACTERS = 20

/** @throws ApiError `invalid_json` with the position of the fault */
export function parseJson(body: Buffer): unknown {
  return parseWith(body, (text) => JSON.parse(text) as unknown)
}

/**
 * Like `parseJson`, but integers that a double cannot hold come back as bigint, so that 64-bit tensors keep all their digits.
 * A body with such an integer takes several times as long, so this is for those who need it.
 * @throws ApiError `invalid_json` with the position of the fault
 */
export function parseJsonExactly(body: Buffer): unknown {
  return parseWith(
    body,
    (text) => (LONG_INTEGER.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text)) as unknown,
  )
}

function parseWith(body: Buffer, parse: (text: string) => unknown): unknown {
  if (!isUtf8(body)) throw new ApiError('invalid_json', 'The body is not valid UTF-8; send JSON in UTF-8.')
  checkDepth(body)
  const text = body.toString('utf8')
  try {
    return parse(text)
  } catch {
    throw new ApiError('invalid_json', faultOf(text))
  }
}

function faultOf(text: string): string {
  if (text.trim() === '') return 'The body is empty; send a JSON object.'
  const fault = jsonFault(text)
  if (fault === undefined) return 'The body is not valid JSON.'
  const before = text.slice(0, fault.position)
  const line = before.split('\n').length
  const column = fault.position - before.lastIndexOf('\n')
  return `The body is not valid JSON: ${fault.problem} at position ${fault.position} (line ${line}, column ${column}).`
}

/** The third argument is the number as it was written (ECMAScript 2026, "JSON.parse source text access"). */
function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source
  const isExact = source !== undefined && source.length <= MAX_EXACT_CHARACTERS && INTEGER.test(source)
  return isExact ? BigInt(source) : value
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Before parsing, as each level of a hostile body would become an object, many times the size of its bracket. */
function checkDepth(body: Buffer): void {
  let depth = 0
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at]
    if (byte === QUOTE) at = endOfString(body, at)
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) depth += 1
    else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth -= 1
    if (depth > MAX_DEPTH) {
      throw new ApiError('invalid_json', `The body is nested deeper than ${MAX_DEPTH} levels at position ${at}.`)
    }
  }
}

/** Index of the closing quote, or the body's length. */
function endOfString(body: Buffer, open: number): number {
  let at = open + 1
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1
  return at
}
