import type { ApiRequest } from '../http/api-request.ts'
import { ApiError, badRequest } from '../status.ts'
import { invalid, notSupported, toCause, describe, type FieldError } from '../field-error.ts'

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

/** The query parameters that create, update and patch share. */
export interface WriteOptions {
  readonly dryRun: boolean
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
  readonly force: boolean
}

const MAX_MANAGER_LENGTH = 128

export function writeOptionsOf(request: ApiRequest, kind = 'CreateOptions'): WriteOptions {
  const dryRun = isDryRun(request.query.getAll('dryRun'), kind)
  const fieldValidation = request.query.get('fieldValidation') || 'Warn'
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw optionsError(kind, [notSupported('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn'])])
  }
  const fieldManager = request.query.get('fieldManager') ?? ''
  if (fieldManager.length > MAX_MANAGER_LENGTH) {
    throw optionsError(kind, [
      invalid('fieldManager', fieldManager, `may not be more than ${MAX_MANAGER_LENGTH} bytes`),
    ])
  }
  return {
    dryRun,
    fieldManager: fieldManager || managerFromUserAgent(request.headers['user-agent'] ?? ''),
    fieldValidation,
    force: request.query.get('force') === 'true',
  }
}

export function isDryRun(values: readonly string[], kind: string): boolean {
  const wrong = values.find((value) => value !== 'All' && value !== '')
  if (wrong !== undefined) throw optionsError(kind, [notSupported('dryRun', wrong, ['All'])])
  return values.includes('All')
}

/** A client that names no manager is known by the start of its user agent. */
export function managerFromUserAgent(userAgent: string): string {
  return (userAgent.split('/')[0] ?? '').slice(0, MAX_MANAGER_LENGTH) || 'unknown'
}

function optionsError(kind: string, errors: readonly FieldError[]): ApiError {
  const [first] = errors
  if (!first) return badRequest('invalid options')
  const group = 'meta.k8s.io'
  const message = `${kind}.${group} "" is invalid: ${errors.map(describe).join(', ')}`
  return new ApiError(422, 'Invalid', message, { group, kind, causes: errors.map(toCause) })
}
