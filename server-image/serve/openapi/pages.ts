/**
 * `GET /openapi.json` and `GET /docs`: what this model takes and gives, for programs and for people.
 *
 * Until the model is loaded nothing is known of it, so both answer 503 and a client comes again: a document without the model's schemas
 * would be wrong, and tools that generate clients or configure gateways keep what they read first.
 */
import type { Response } from 'express'
import { errorHeaders } from '../answer.ts'
import { ApiError, errorBody } from '../api-error.ts'
import type { PageRoute } from '../http/app.ts'
import type { ServedModel } from '../served-model.ts'
import type { ServingState } from '../serving-state.ts'
import type { DescribedServer } from './described.ts'
import { DOCS_POLICY, docsPage, loadingPage } from './docs-page.ts'
import { openApiDocument } from './document.ts'
import { findExamples } from './examples.ts'
import { DOCS_PATH, OPENAPI_PATH } from './server-operations.ts'

export interface OpenApiPagesOptions extends DescribedServer {
  readonly state: ServingState
}

export function openApiPages(options: OpenApiPagesOptions): PageRoute[] {
  const { state } = options
  // The model never changes, so it is described once.
  let written: Promise<Written> | undefined
  const textsOf = (model: ServedModel) => (written ??= write(model, options))
  return [
    {
      path: OPENAPI_PATH,
      summary: 'what this model takes and gives, as an OpenAPI 3.1 document',
      answer: async (_request, response) => {
        if (state.model === undefined) sendNotLoaded(response)
        else response.type('json').send((await textsOf(state.model)).document)
      },
    },
    {
      path: DOCS_PATH,
      summary: 'the same as a page, where each request can be tried',
      answer: async (_request, response) => {
        response.setHeader('content-security-policy', DOCS_POLICY).setHeader('referrer-policy', 'no-referrer')
        if (state.model === undefined) response.status(503).type('html').send(loadingPage(options))
        else response.type('html').send((await textsOf(state.model)).page)
      },
    },
  ]
}

interface Written {
  readonly document: string
  readonly page: string
}

async function write(model: ServedModel, options: DescribedServer): Promise<Written> {
  const described = { ...options, model, examples: await findExamples(model, options.profile) }
  const document = openApiDocument(described)
  return { document: JSON.stringify(document), page: docsPage(described, document) }
}

function sendNotLoaded(response: Response): void {
  const error = new ApiError(
    'model_not_loaded',
    'The model is not loaded yet, so it cannot be described; try again in a moment.',
    {
      retryAfterSeconds: 1,
    },
  )
  const headers = errorHeaders(error)
  for (let at = 0; at < headers.length; at += 2) response.setHeader(headers[at] ?? '', headers[at + 1] ?? '')
  response.status(error.status).end(errorBody(error))
}
