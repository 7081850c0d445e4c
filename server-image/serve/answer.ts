import type { ApiError } from './api-error.ts'

/** An answer to an inference request, whole, before any connection is concerned. */
export interface Answer {
  readonly status: number
  /** Name, value, name, value ...: without those of the connection (`content-length`, `connection` ...). */
  readonly headers: readonly string[]
  readonly body: string | Buffer
  /** Inside the revision that computed it, in milliseconds. */
  readonly durationMs: number
  /** Why it is none that the client wished for. */
  readonly failure?: string
}

export function isOk({ status }: Pick<Answer, 'status'>): boolean {
  return status >= 200 && status < 300
}

/** How one family of routes words an error, as JSON. */
export type ErrorWording = (error: ApiError) => string

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Headers of an error's answer. */
export function errorHeaders({ details: { allow, challenge, retryAfterSeconds } }: ApiError): string[] {
  const headers = ['content-type', JSON_TYPE]
  if (challenge !== undefined) headers.push('www-authenticate', challenge)
  if (allow !== undefined) headers.push('allow', allow)
  if (retryAfterSeconds !== undefined) headers.push('retry-after', String(retryAfterSeconds))
  return headers
}
