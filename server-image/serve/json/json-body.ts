/** JSON from strangers: valid UTF-8, not too deep, and when it is wrong the answer says where. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '../api-error.ts'
import { jsonFault } from './json-fault.ts'
import { duplicateMember, structureOf } from './structure.ts'

/** Brackets inside brackets: tensors have as many as dimensions, so this is far above every honest request. */
export const MAX_DEPTH = 32

/** Only text with such a number holds an integer beyond 2^53 that fits 64 bits: the many digits of an ordinary double are a fraction's. */
const LONG_INTEGER = /(?:^|[[,:\s])-?\d{16,20}(?![\d.eE])/
const INTEGER = /^-?\d+$/
/** The longest 64-bit integers; longer ones fit no datatype, and take long to read. */
const MAX_EXACT_CHARACTERS = 20

/** @throws ApiError `invalid_json` with the position of the fault */
export function parseJson(body: Buffer): unknown {
  return parseCounting(body).value
}

export interface CountedJson {
  readonly value: unknown
  /** Members as they were written: more than `value` has when a name comes twice in an object. */
  readonly members: number
}

/** @throws ApiError `invalid_json` with the position of the fault */
export function parseCounting(body: Buffer): CountedJson {
  return parseWith(body, (text) => JSON.parse(text) as unknown)
}

/**
 * Like `parseCounting`, but integers that a double cannot hold come back as bigint, so that 64-bit tensors keep all their digits.
 * A body with such an integer takes several times as long, so this is for those who need it.
 * @throws ApiError `invalid_json` with the position of the fault
 */
export function parseExactlyCounting(body: Buffer): CountedJson {
  return parseWith(
    body,
    (text) => (LONG_INTEGER.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text)) as unknown,
  )
}

/**
 * Refuses a body in which a name comes twice in an object, as parsing keeps only the last of them; does nothing when there is none.
 * @throws ApiError `invalid_request` that names the member
 */
export function refuseRepeated(body: Buffer): void {
  const field = duplicateMember(body)?.slice(0, 80)
  if (field === undefined) return
  throw new ApiError('invalid_request', `The member ${JSON.stringify(field)} is given twice; send it once.`, { field })
}

function parseWith(body: Buffer, parse: (text: string) => unknown): CountedJson {
  if (!isUtf8(body)) throw new ApiError('invalid_json', 'The body is not valid UTF-8; send JSON in UTF-8.')
  // Before parsing, as each level of a hostile body would become an object, many times the size of its bracket.
  const { members, tooDeepAt } = structureOf(body, MAX_DEPTH)
  if (tooDeepAt !== undefined)
    throw new ApiError('invalid_json', `The body is nested deeper than ${MAX_DEPTH} levels at position ${tooDeepAt}.`)
  const text = body.toString('utf8')
  try {
    return { value: parse(text), members }
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
