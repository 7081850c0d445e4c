/**
 * What node:http has to answer: inference requests that the direct front (`direct/`) did not take, and everything else, which is express's.
 *
 * Express costs several times as much as a small model (see bench/); so inference paths are looked up in a map, read, answered and
 * written here, with nothing in between.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import { ApiError } from '../api-error.ts'
import type { Answer } from '../answer.ts'
import type { InferenceService } from '../inference-service.ts'
import type { InferenceRequest, InferenceRoute } from '../inference.ts'
import { readBody, type BodyLimits } from './body.ts'
import { codingOf, decoded, withoutCoding } from './content-coding.ts'
import type { Exchanges } from './exchanges.ts'
import { send, sendEarly } from './send.ts'
import { canonicalTarget } from './target.ts'

export interface ListenerOptions {
  /** Inference routes by exact path; all of them are POST. */
  readonly routes: ReadonlyMap<string, InferenceRoute>
  readonly service: InferenceService
  /** Everything that is no inference. */
  readonly rest: RequestListener
  readonly bodies: BodyLimits
  /** Told of failures that no request should be able to cause; the process must outlive them. */
  readonly onInternalError: (error: unknown) => void
  readonly exchanges: Exchanges
}

export function createListener(options: ListenerOptions): RequestListener {
  return (request, response) => {
    const route = routeOf(options.routes, request)
    if (route === undefined) options.rest(request, response)
    else infer(route, request, response, options)
  }
}

/** A target that is not at once that of a route is rewritten as routes are, for whoever reads it next. */
function routeOf(routes: ReadonlyMap<string, InferenceRoute>, request: IncomingMessage): InferenceRoute | undefined {
  const { method, url = '/' } = request
  const isPost = method === 'POST'
  const route = isPost ? routes.get(pathOf(url)) : undefined
  if (route !== undefined) return route
  request.url = canonicalTarget(url)
  return isPost ? routes.get(pathOf(request.url)) : undefined
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

/** @throws ApiError for a body that is not what its coding says, or larger than it may be (as a rejection) */
async function asMeant(
  { url = '/', headers, rawHeaders }: IncomingMessage,
  body: Buffer,
  bodies: BodyLimits,
  receivedAt: number,
): Promise<InferenceRequest> {
  const coding = codingOf(headers['content-encoding'])
  if (coding === undefined) return { url, headers, rawHeaders, body, receivedAt }
  const whole = await decoded(body, coding, bodies)
  const { 'content-encoding': _undone, ...others } = headers
  return { url, headers: others, rawHeaders: withoutCoding(rawHeaders), body: whole, receivedAt }
}

function infer(
  route: InferenceRoute,
  request: IncomingMessage,
  response: ServerResponse,
  { service, bodies, exchanges, onInternalError }: ListenerOptions,
): void {
  readBody(request, bodies, (body) => {
    const receivedAt = performance.now()
    if (body.kind === 'gone') return
    if (body.kind === 'refused') {
      exchanges.endWith({ request, response })
      sendEarly(request, response, service.refusal(route, body.error, { headers: request.headers, receivedAt }))
      return
    }
    let takenBytes = body.bytes.length
    const release = () => bodies.budget.giveBack(takenBytes)
    // It was answered already when it had taken too long to arrive.
    if (response.headersSent) return release()
    const answered = async (): Promise<Answer> => {
      let asked: InferenceRequest
      try {
        asked = await asMeant(request, body.bytes, bodies, receivedAt)
      } catch (error) {
        if (error instanceof ApiError) return service.refusal(route, error, { headers: request.headers, receivedAt })
        throw error
      }
      takenBytes = asked.body.length
      return service.answer(route, asked)
    }
    void answered()
      .then((answer) => send(response, answer, exchanges.ends({ request, response })))
      .catch((error: unknown) => {
        onInternalError(error)
        response.destroy()
      })
      .finally(release)
  })
}
