/** What one connection, and all of them together, may ask of the server. */

export interface HttpLimits {
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** After so long, in milliseconds, a connection on which nothing is asked is closed, and so is one whose client takes nothing of its answer. */
  readonly keepAliveMs: number
}

export const DEFAULT_LIMITS: HttpLimits = {
  maxConnections: 4096,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  // Longer than the idle time of common load balancers (60 s), so that they close first and never meet a closing connection.
  keepAliveMs: 75_000,
}

/** Of a request's line and headers. */
export const MAX_HEADER_BYTES = 16 * 1024
