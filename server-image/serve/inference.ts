/** What the inference routes have in common: a request comes in whole, an answer goes out whole; no connection is in sight. */
import type { IncomingHttpHeaders } from 'node:http'
import type { AnswerId } from '../monitor/recent-answers.ts'
import type { ErrorWording } from './answer.ts'
import type { ServedModel } from './served-model.ts'

export interface InferenceRequest {
  /** Path and query, without scheme and host. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** `performance.now()` when the body was complete: before that, a client's own slowness counts. */
  readonly receivedAt: number
  /** How long another revision was asked for the answer before, in milliseconds. */
  readonly waitedMs?: number
}

/** JSON, or bytes with the headers that say what they are. */
export type AnswerBody = string | { readonly headers: readonly string[]; readonly bytes: Buffer }

export interface InferenceRoute {
  /** Value of the metrics' `endpoint` label. */
  readonly endpoint: string
  readonly wording: ErrorWording
  /** True when its path names a version: then only this one may answer, and another revision's answer would be a wrong one. */
  readonly isPinned?: true
  /**
   * Computes the body of a 200.
   * @param id of the answer that is being made
   * @throws ApiError for everything that is not one (as a rejection, or at once)
   */
  readonly answer: (request: InferenceRequest, model: ServedModel, id: AnswerId) => Promise<AnswerBody>
}
