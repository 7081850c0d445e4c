/** What one connection, and all of them together, may ask of the server. */

export interface HttpLimits {
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
}

export const DEFAULT_LIMITS: HttpLimits = { maxConnections: 4096, headersTimeoutMs: 10_000, requestTimeoutMs: 30_000 }

/** Of a request's line and headers. */
export const MAX_HEADER_BYTES = 16 * 1024
/** Longer than the idle time of common load balancers (60 s), so that they close first and never meet a closing connection. */
export const KEEP_ALIVE_MS = 75_000
