/** How long a client is willing to wait: its requests are not computed, and not kept, for longer. */
import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from './api-error.ts'

const MS_OF: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 }
const MAX_MS = 24 * 3_600_000

/**
 * The header `timeout`: a number with its unit, for example `250ms` or `2s`.
 * @returns milliseconds; Infinity without the header
 * @throws ApiError
 */
export function timeoutIn(headers: IncomingHttpHeaders): number {
  const value = headers['timeout']
  if (value === undefined) return Infinity
  const [, digits = '', unit = ''] = /^(\d{1,12})(us|ms|s)$/.exec(String(value)) ?? []
  const ms = Number(digits) * (MS_OF[unit] ?? NaN)
  if (ms > 0 && ms <= MAX_MS) return ms
  const message =
    'The header timeout must be a whole number with its unit us, ms or s, for example 250ms, and at most a day.'
  throw new ApiError('invalid_request', message, { field: 'timeout' })
}

/**
 * The V2 parameter `timeout`, in microseconds as Triton has it; 0 is none.
 * @returns milliseconds; Infinity without the parameter
 * @throws ApiError
 */
export function timeoutInParameters({ timeout }: Readonly<Record<string, unknown>>): number {
  if (timeout === undefined || timeout === 0) return Infinity
  const ms = typeof timeout === 'number' && Number.isSafeInteger(timeout) ? timeout / 1_000 : NaN
  if (ms > 0 && ms <= MAX_MS) return ms
  const message = 'parameters.timeout must be a whole number of microseconds, at most a day; 0 is no limit.'
  throw new ApiError('invalid_request', message, { field: 'parameters.timeout' })
}
