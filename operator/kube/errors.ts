/** The parts of metav1.Status that callers read. */
export interface Status {
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly causes: readonly StatusCause[]
  /** What the server asks us to wait before the next try. */
  readonly retryAfterMs?: number
}

interface StatusCause {
  readonly reason?: string
  readonly message?: string
  readonly field?: string
}

/** The API server answered, and the answer is no. */
export class ApiError extends Error {
  readonly code: number
  /** Machine-readable: `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`, `Expired`, `TooManyRequests` ... */
  readonly reason: string
  readonly causes: readonly StatusCause[]
  readonly retryAfterMs: number | undefined
  /** The server's own sentence, without code and call. */
  readonly said: string
  /** Method and path of the call; empty for an error that came inside a watch. */
  readonly call: string

  constructor(status: Status, call = '') {
    super(`${call === '' ? '' : `${call}: `}${status.code} ${status.reason}: ${status.message}`)
    this.name = 'ApiError'
    this.code = status.code
    this.reason = status.reason
    this.causes = status.causes
    this.retryAfterMs = status.retryAfterMs
    this.said = status.message
    this.call = call
  }
}

/**
 * No answer, or none that can be used. `connection`: refused, reset, TLS; `deadline`: too slow; `aborted`: the caller gave up;
 * `too-large`: beyond the size limit; `malformed`: not what the Kubernetes API sends.
 */
export type TransportFailure = 'connection' | 'deadline' | 'aborted' | 'too-large' | 'malformed'

export class TransportError extends Error {
  readonly failure: TransportFailure

  constructor(failure: TransportFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'TransportError'
    this.failure = failure
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** Reads a metav1.Status; anything else (a proxy's error page, an empty body) becomes one, with the code's usual reason. */
export function statusOf(httpCode: number, body: unknown, fallbackMessage = ''): Status {
  const status = isStatus(body) ? body : {}
  const code = status.code ?? httpCode
  const retryAfterSeconds = status.details?.retryAfterSeconds ?? 0
  return {
    code,
    reason: status.reason || REASONS[code] || 'Unknown',
    message: status.message ?? fallbackMessage,
    causes: status.details?.causes ?? [],
    ...(retryAfterSeconds > 0 && { retryAfterMs: retryAfterSeconds * 1000 }),
  }
}

interface RawStatus {
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: { readonly causes?: readonly StatusCause[]; readonly retryAfterSeconds?: number } | null
}

function isStatus(body: unknown): body is RawStatus {
  return typeof body === 'object' && body !== null && (body as { kind?: unknown }).kind === 'Status'
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404
}

/** An answer, or undefined when what was asked for is not there. Rejects with every other error. */
export async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** The object was changed since it was read. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.code === 409 && error.reason === 'Conflict'
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'AlreadyExists'
}

/** The API server finds the object wrong; the same one will be refused again. */
export function isInvalid(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 422
}

const UNTYPED = 'failed to create typed patch object'

/**
 * The object cannot be what it is sent as, whoever sends it: malformed (400), invalid (422), or, for a server-side apply, not of its
 * type, which an API server calls an error of its own (500).
 */
export function isUnacceptable(error: ApiError): boolean {
  return error.code === 400 || error.code === 422 || (error.code === 500 && error.said.startsWith(UNTYPED))
}

/** The resourceVersion or continue token is too old: list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 410 || error.reason === 'Expired')
}
