/** Everything that can be wrong with a request, in one table: what a client may program against. */
const STATUS_OF = {
  invalid_http: 400,
  invalid_json: 400,
  invalid_request: 400,
  unsupported_by_model: 400,
  unauthorized: 401,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  too_large: 413,
  unsupported_media_type: 415,
  expectation_failed: 417,
  invalid_input: 422,
  unrepresentable_output: 422,
  overloaded: 429,
  headers_too_large: 431,
  internal: 500,
  model_failed: 500,
  not_implemented: 501,
  model_not_loaded: 503,
  deadline_exceeded: 503,
} as const satisfies Record<string, number>

export type ErrorCode = keyof typeof STATUS_OF

export interface ApiErrorDetails {
  /** Path of the offending value in the request's body, for example `features[3]`. */
  readonly field?: string
  /** When it makes sense to try again. */
  readonly retryAfterSeconds?: number
  /** That the answer may wait, so that clients who ask again without a pause do not take the processor that others need. */
  readonly mayBeHeldMs?: number
  /** How to say who one is (RFC 9110, 11.6.1). */
  readonly challenge?: string
  /** The methods that the path does have. */
  readonly allow?: string
}

/** A request that gets an error as its answer. The message is for the client: what is wrong and what to do, never internals. */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly details: ApiErrorDetails

  constructor(code: ErrorCode, message: string, details: ApiErrorDetails = {}) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return STATUS_OF[this.code]
  }
}

/** The V2 protocol wants `error` to be a string; code and field stand beside it for those who look. */
export function v2ErrorBody({ code, message, details: { field } }: ApiError): string {
  return JSON.stringify({ error: message, code, ...(field !== undefined && { field }) })
}

/** The body of an error as the family of this path words it, whether it has a route or not. */
export function errorBodyAt(path: string, error: ApiError): string {
  const isV2 = path === '/v2' || path.startsWith('/v2/') || path.startsWith('/v1/')
  return isV2 ? v2ErrorBody(error) : errorBody(error)
}

/** The JSON body of an error. */
export function errorBody({ code, message, details }: ApiError): string {
  return JSON.stringify({ error: { code, message, ...(details.field !== undefined && { field: details.field }) } })
}

/**
 * The model answered what JSON has no word for. Law: no fault of this revision, as one that every revision has on the same values is
 * none; a revision that has it alone is told from the other by the other's answer.
 * @param what was answered, as a sentence's beginning
 */
export function unrepresentable(what: string): ApiError {
  const remedy =
    'send values of the size that the model was made for, or ask for bytes: with binary_data of the V2 protocol, or by gRPC.'
  return new ApiError('unrepresentable_output', `${what} for this input, which JSON cannot express; ${remedy}`)
}

/** For all who ask for the model before it is there. */
export function notLoaded(): ApiError {
  return new ApiError('model_not_loaded', 'The model is not loaded yet; try again in a moment.', {
    retryAfterSeconds: 1,
  })
}
