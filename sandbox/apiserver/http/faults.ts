/** What a request is, as tests see it. */
export interface RequestFacts {
  readonly verb: string
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Plural with group, e.g. `deployments.apps`; empty for anything but the resource API. */
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly userAgent: string
}

/** How a test disturbs a request. A status of 410 has reason Expired, 429 TooManyRequests, 500 InternalError. */
export type Fault = { readonly status: number; readonly retryAfterSeconds?: number } | 'drop'

export type Faults = (request: RequestFacts) => Fault | undefined

export interface AnsweredRequest extends RequestFacts {
  /** The HTTP status; 0 for a dropped connection. */
  readonly code: number
}

export type OnRequest = (request: AnsweredRequest) => void
