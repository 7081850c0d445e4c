import type { Json, JsonObject } from './json.ts'

/** One reason why an object is refused, worded as k8s.io/apimachinery's field errors are: clients and people match on these texts. */
export interface FieldError {
  readonly reason: string
  readonly field: string
  readonly message: string
}

export function required(field: string, detail = ''): FieldError {
  return { reason: 'FieldValueRequired', field, message: detail ? `Required value: ${detail}` : 'Required value' }
}

export function invalid(field: string, value: Json | undefined, detail: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: withDetail(`Invalid value: ${shown(value)}`, detail) }
}

export function typeInvalid(field: string, value: Json | undefined, detail: string): FieldError {
  return { reason: 'FieldValueTypeInvalid', field, message: withDetail(`Invalid value: ${shown(value)}`, detail) }
}

export function notSupported(field: string, value: Json | undefined, supported: readonly string[]): FieldError {
  const values = supported.map((each) => JSON.stringify(each)).join(', ')
  return {
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${shown(value)}: supported values: ${values}`,
  }
}

export function duplicate(field: string, value: Json | undefined): FieldError {
  return { reason: 'FieldValueDuplicate', field, message: `Duplicate value: ${shown(value)}` }
}

export function forbiddenField(field: string, detail: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: withDetail('Forbidden', detail) }
}

export function tooLong(field: string, maxBytes: number): FieldError {
  return { reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${maxBytes} bytes` }
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  return { reason: 'FieldValueTooMany', field, message: `Too many: ${actual}: must have at most ${max} items` }
}

export function notFoundValue(field: string, value: Json | undefined): FieldError {
  return { reason: 'FieldValueNotFound', field, message: `Not found: ${shown(value)}` }
}

/** `spec.replicas: Invalid value: -1: ...` */
export function describe(error: FieldError): string {
  return `${error.field}: ${error.message}`
}

export function toCause(error: FieldError): JsonObject {
  return { reason: error.reason, message: error.message, field: error.field }
}

function withDetail(text: string, detail: string): string {
  return detail ? `${text}: ${detail}` : text
}

function shown(value: Json | undefined): string {
  return value === undefined ? 'null' : JSON.stringify(value)
}
