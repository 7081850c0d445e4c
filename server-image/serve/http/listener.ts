/**
 * The HTTP front: inference requests take a short way of their own, everything else goes to express.
 *
 * Express costs several times as much as a small model (see bench/); so the paths that carry the load are looked up in a map,
 * read, answered and written here, with nothing in between.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import { ApiError } from '../api-error.ts'
import type { InferenceService } from '../inference-service.ts'
import type { InferenceRoute } from '../inference.ts'
import { readBody } from './body.ts'
import type { Exchanges } from './exchanges.ts'
import { send, sendEarly } from './send.ts'
import { canonicalTarget } from './target.ts'

export interface ListenerOptions {
  /** Inference routes by exact path; all of them are POST. */
  readonly routes: ReadonlyMap<string, InferenceRoute>
  readonly service: InferenceService
  /** Everything that is no inference. */
  readonly rest: RequestListener
  readonly maxBodyBytes: number
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

function infer(
  route: InferenceRoute,
  request: IncomingMessage,
  response: ServerResponse,
  { service, maxBodyBytes, exchanges, onInternalError }: ListenerOptions,
): void {
  readBody(request, maxBodyBytes, (body) => {
    const receivedAt = performance.now()
    // It was answered already when it had taken too long to arrive.
    if (body.kind === 'gone' || response.headersSent) return
    if (body.kind === 'too-large') {
      exchanges.endWith({ request, response })
      sendEarly(request, response, service.refusal(route, tooLarge(maxBodyBytes), receivedAt))
      return
    }
    const { url = '/', headers, rawHeaders } = request
    void service
      .answer(route, { url, headers, rawHeaders, body: body.bytes, receivedAt })
      .then((answer) => send(response, answer, exchanges.ends({ request, response })))
      .catch((error: unknown) => {
        onInternalError(error)
        response.destroy()
      })
  })
}

function tooLarge(maxBodyBytes: number): ApiError {
  return new ApiError('too_large', `The body is larger than ${maxBodyBytes} bytes; send fewer rows at a time.`)
}
