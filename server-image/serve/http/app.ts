/** Everything but inference: health, metrics, metadata, and errors in JSON for all that is not there. */
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express'
import { errorHeaders } from '../answer.ts'
import { ApiError, errorBodyAt } from '../api-error.ts'
import { WHOLE_SERVER } from './target.ts'

/** A path that can be read, or posted to. */
export interface PageRoute {
  readonly path: string
  readonly summary: string
  /** GET when left out. */
  readonly method?: 'GET' | 'POST'
  readonly answer: RequestHandler
}

export interface AppOptions {
  readonly pages: readonly PageRoute[]
  /** Paths that are posted to, with what they do: they are served before this app, which only knows their names. */
  readonly inferencePaths: ReadonlyMap<string, string>
  readonly isClosing: () => boolean
  readonly onInternalError: (error: unknown) => void
}

export function createApp({ pages, inferencePaths, isClosing, onInternalError }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', 'simple')
  app.use((request, response, next) => {
    response.setHeader('cache-control', 'no-store')
    if (isClosing()) response.setHeader('connection', 'close')
    if (request.url === WHOLE_SERVER && request.method === 'OPTIONS')
      response.set('allow', 'GET, HEAD, POST').sendStatus(204)
    else next()
  })
  const index = [
    ...[...inferencePaths].map(([path, summary]) => ({ method: 'POST', path, summary })),
    ...pages.map(({ path, summary, method = 'GET' }) => ({ method, path, summary })),
  ]
  const indexPage: PageRoute = { path: '/', summary: 'what there is', answer: answerJson(() => ({ routes: index })) }
  for (const { path, answer, method = 'GET' } of [...pages, indexPage]) {
    if (method === 'GET') app.get(path, answer)
    else app.post(path, answer)
    app.all(path, refuseMethod(method === 'GET' ? 'GET, HEAD' : 'POST'))
  }
  for (const path of inferencePaths.keys()) app.all(literal(path), refuseMethod('POST'))
  const known = `POST to ${[...inferencePaths.keys()].join(', ')}, or GET / for all that there is`
  app.use((request, response) => {
    sendError(response, new ApiError('not_found', `There is no ${request.path}; ${known}.`))
  })
  app.use(errorHandler(onInternalError))
  return app
}

export function answerJson(value: () => unknown, status: () => number = () => 200): RequestHandler {
  return (_request, response) => {
    response.status(status()).json(value())
  }
}

function refuseMethod(allow: string): RequestHandler {
  return (request, response) => {
    const message = `${request.path} cannot be asked by ${request.method}; use ${allow}.`
    sendError(response, new ApiError('method_not_allowed', message, { allow }))
  }
}

function errorHandler(onInternalError: (error: unknown) => void): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error)
    if (error instanceof ApiError) return sendError(response, error)
    const status = (error as { status?: unknown } | undefined)?.status
    if (typeof status === 'number' && status < 500) {
      return sendError(response, new ApiError('invalid_http', 'The request cannot be read: its path is malformed.'))
    }
    onInternalError(error)
    sendError(response, new ApiError('internal', 'The server failed on this request; its log says why.'))
  }
}

function sendError(response: Response, error: ApiError): void {
  const headers = errorHeaders(error)
  for (let at = 0; at < headers.length; at += 2) response.setHeader(headers[at] ?? '', headers[at + 1] ?? '')
  response.status(error.status).end(errorBodyAt(response.req.path, error))
}

/** A colon in a path has a meaning in express's patterns. */
function literal(path: string): string {
  return path.replaceAll(':', '\\:')
}
