/** What can go wrong with a request, as the document and the page tell it: one table for all codes. */
import { ApiError, errorBody, v2ErrorBody, type ErrorCode } from '../api-error.ts'
import type { ErrorWording } from '../answer.ts'
import { schemaRef, type Schema } from './value-schema.ts'

const MEANINGS = {
  invalid_http: 'The request is not valid HTTP, or its path cannot be read.',
  invalid_json: 'The body is not valid JSON in UTF-8; the message says where it stops being so.',
  invalid_request: 'The body lacks a member, or has one that is not known.',
  unsupported_by_model: 'This model cannot be asked in this way; use the V2 protocol.',
  unauthorized: 'The server wants to know who asks, by a token or a certificate, and accepts none of this request.',
  not_found: 'There is no such path, or nothing of this id.',
  method_not_allowed: 'The path exists, but not with this method; the header allow names those that it has.',
  request_timeout: 'The request did not arrive in time; send it faster.',
  too_large: 'The body is larger than the limit; send fewer rows at a time.',
  unsupported_media_type:
    'The body is not declared as JSON, or is compressed by something else than gzip or deflate; send "content-type: application/json".',
  expectation_failed: 'The header expect asks for something else than 100-continue.',
  invalid_input: 'The values are not those that the model takes; field names the first that is wrong.',
  unrepresentable_output:
    'The model answered NaN or infinity to these values, which JSON cannot express; ask for bytes, or send values of another size.',
  overloaded:
    'Too many requests wait for the model, so that this one would not be answered in time; try again after the seconds that retry-after says.',
  headers_too_large: 'The headers are larger than the limit.',
  internal: 'The server failed on this request; its log says why.',
  model_failed: 'The model failed on this input, though it has the right form.',
  not_implemented: 'The body has a transfer coding that is not supported; send "chunked" or a length.',
  model_not_loaded: 'The model is not loaded yet; try again in a moment.',
  deadline_exceeded: 'The request waited too long for the model; try again later.',
} as const satisfies Record<ErrorCode, string>

export interface ErrorEntry {
  readonly code: ErrorCode
  readonly status: number
  readonly meaning: string
}

/** By status. */
export function errorTable(): ErrorEntry[] {
  const codes = Object.keys(MEANINGS) as ErrorCode[]
  return codes
    .map((code) => ({ code, status: errorOf(code).status, meaning: MEANINGS[code] }))
    .sort((left, right) => left.status - right.status)
}

export const ERROR_SCHEMAS: Readonly<Record<string, Schema>> = {
  ErrorCode: { type: 'string', enum: Object.keys(MEANINGS) },
  Error: {
    type: 'object',
    properties: {
      error: {
        type: 'object',
        properties: {
          code: schemaRef('ErrorCode'),
          message: { type: 'string', description: 'What is wrong and what to do, for a person.' },
          field: { type: 'string', description: 'Path of the value that is wrong, for example features[3].' },
        },
        required: ['code', 'message'],
      },
    },
    required: ['error'],
  },
  V2Error: {
    type: 'object',
    properties: {
      error: { type: 'string', description: 'What is wrong and what to do, for a person.' },
      code: schemaRef('ErrorCode'),
      field: { type: 'string', description: 'Path of the value that is wrong, for example inputs[0].shape.' },
    },
    required: ['error'],
  },
}

/** How a family of paths words its errors, by the name of their schema. */
type Family = 'Error' | 'V2Error'

const WORDINGS: Readonly<Record<Family, ErrorWording>> = { Error: errorBody, V2Error: v2ErrorBody }

const NOT_OF_BODIES: ReadonlySet<ErrorCode> = new Set(['unauthorized', 'not_found', 'method_not_allowed'])

/** Codes that any operation with a body can answer, wherever it is. */
const OF_BODIES = new Set((Object.keys(MEANINGS) as ErrorCode[]).filter((code) => !NOT_OF_BODIES.has(code)))

/** For `responses` of an operation that takes a body; `default` stands for what no request to this path should meet. */
export function errorResponsesOfBodies(family: Family): Readonly<Record<string, Schema>> {
  return { ...errorResponses(family, OF_BODIES), default: { $ref: `#/components/responses/${family}Default` } }
}

export function errorResponses(family: Family, codes: ReadonlySet<ErrorCode>): Readonly<Record<string, Schema>> {
  const statuses = new Set([...codes].map((code) => errorOf(code).status))
  return Object.fromEntries(
    [...statuses].map((status) => [status, { $ref: `#/components/responses/${family}${status}` }]),
  )
}

/** For `components.responses`: every status in the wording of every family. */
export function errorComponents(): Readonly<Record<string, Schema>> {
  const byStatus = Map.groupBy(errorTable(), ({ status }) => status)
  const responses = (Object.keys(WORDINGS) as Family[]).flatMap((family) => [
    ...[...byStatus].map(([status, entries]) => [`${family}${status}`, response(family, entries)] as const),
    [`${family}Default`, { description: 'Any other error.', content: contentOf(family) }] as const,
  ])
  return Object.fromEntries(responses)
}

function response(family: Family, entries: readonly ErrorEntry[]): Schema {
  const examples = entries.map(({ code, meaning }) => {
    const value: unknown = JSON.parse(WORDINGS[family](new ApiError(code, meaning)))
    return [code, { summary: meaning, value }] as const
  })
  const isPassing = entries.some(({ status }) => status === 429 || status === 503)
  return {
    description: entries.map(({ code, meaning }) => `${code}: ${meaning}`).join(' '),
    ...(isPassing && { headers: { 'retry-after': RETRY_AFTER } }),
    content: contentOf(family, Object.fromEntries(examples)),
  }
}

const RETRY_AFTER: Schema = {
  description: 'Seconds after which it makes sense to try again.',
  schema: { type: 'integer', minimum: 0 },
}

function contentOf(family: Family, examples?: Schema): Schema {
  return { 'application/json': { schema: schemaRef(family), ...(examples !== undefined && { examples }) } }
}

function errorOf(code: ErrorCode): ApiError {
  return new ApiError(code, MEANINGS[code])
}
