import { describe, toCause, type FieldError } from './field-error.ts'
import type { Json, JsonObject } from './json.ts'

/** A request that ends in a metav1.Status of failure. Thrown by handlers; the router turns it into the answer. */
export class ApiError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: JsonObject | undefined

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }

  get retryAfterSeconds(): number | undefined {
    const seconds = this.details?.['retryAfterSeconds']
    return typeof seconds === 'number' ? seconds : undefined
  }

  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    }
  }
}

/** What an error names: `deployments.apps`, or only `pods` in the core group. */
export interface ResourceName {
  readonly group: string
  readonly plural: string
}

export interface KindName {
  readonly group: string
  readonly kind: string
}

export function qualified(resource: ResourceName): string {
  return resource.group ? `${resource.plural}.${resource.group}` : resource.plural
}

export function notFound(resource: ResourceName, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name))
}

export function alreadyExists(resource: ResourceName, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" already exists`
  return new ApiError(409, 'AlreadyExists', message, detailsOf(resource, name))
}

export function conflict(resource: ResourceName, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`
  return new ApiError(409, 'Conflict', message, detailsOf(resource, name))
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

export function invalidObject(of: KindName, name: string, errors: readonly FieldError[]): ApiError {
  const texts = [...new Set(errors.map(describe))]
  const message = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  const kind = of.group ? `${of.kind}.${of.group}` : of.kind
  return new ApiError(422, 'Invalid', `${kind} ${JSON.stringify(name)} is invalid: ${message}`, {
    ...(name ? { name } : {}),
    ...(of.group ? { group: of.group } : {}),
    kind: of.kind,
    causes: errors.map(toCause),
  })
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

export function forbidden(resource: ResourceName, name: string, why: string): ApiError {
  const named = name ? ` "${name}"` : ''
  return new ApiError(
    403,
    'Forbidden',
    `${qualified(resource)}${named} is forbidden: ${why}`,
    detailsOf(resource, name),
  )
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized')
}

export function methodNotAllowed(
  message = 'the server does not allow this method on the requested resource',
): ApiError {
  return new ApiError(405, 'MethodNotAllowed', message, {})
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new ApiError(415, 'UnsupportedMediaType', message, {})
}

export function tooLarge(limitBytes: number): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`, {})
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message)
}

export function internalError(error: unknown): ApiError {
  const text = error instanceof Error ? error.message : String(error)
  return new ApiError(500, 'InternalError', `Internal error occurred: ${text}`, { causes: [{ message: text }] })
}

export function unknownEndpoint(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})
}

/** The answer to a deletion that removed an object at once. */
export function success(resource: ResourceName, name: string, uid: Json): JsonObject {
  const group = resource.group ? { group: resource.group } : {}
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...group, kind: resource.plural, uid },
  }
}

function detailsOf(resource: ResourceName, name: string): JsonObject {
  return { ...(name ? { name } : {}), ...(resource.group ? { group: resource.group } : {}), kind: resource.plural }
}
