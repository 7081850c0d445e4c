/** The monitor's routes: the report for people, the same numbers as JSON, and feedback. */
import type { Request, RequestHandler, Response } from 'express'
import type { Registry } from 'prom-client'
import { REVISION_HEADER } from '../../protocol/headers.ts'
import { ApiError } from '../serve/api-error.ts'
import { answerJson, type PageRoute } from '../serve/http/app.ts'
import { readBody, type Body, type BodyLimits } from '../serve/http/body.ts'
import type { InferenceRequest } from '../serve/inference.ts'
import { checkJsonType } from '../serve/json/content-type.ts'
import { parseJson } from '../serve/json/json-body.ts'
import type { PeerAnswer } from '../serve/traffic/peer.ts'
import { takeFeedback } from './feedback.ts'
import { feedbackCounter } from './metrics.ts'
import type { Monitor } from './monitor.ts'
import { reportPage, type ReportedModel } from './report-page.ts'

export interface MonitorPagesOptions extends ReportedModel {
  readonly monitor: Monitor
  readonly registry: Registry
  readonly bodies: BodyLimits
  /** Has the revision that shares our traffic answer, if there is one. */
  readonly passOn: (request: InferenceRequest) => Promise<PeerAnswer | undefined>
}

/** Nothing may be loaded or run: the page is one document of text and inline drawings. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

export function monitorPages(options: MonitorPagesOptions): PageRoute[] {
  const { monitor, bodies } = options
  const answerFeedback = feedbackAnswerer(options)
  return [
    {
      path: '/feedback',
      method: 'POST',
      summary: 'the truth about an answer: {"id": its x-request-id, "label": ...}, or "labels" for a batch',
      answer: async (request, response) => {
        const bytes = await jsonBytes(request, bodies)
        if (bytes === GONE) return
        await answerFeedback(request, response, bytes).finally(() => bodies.budget.giveBack(bytes.length))
      },
    },
    {
      path: '/penstock/drift',
      summary: 'drift of recent requests from the reference profile, and quality by feedback, as JSON',
      answer: driftJson(monitor),
    },
    {
      path: '/report',
      summary: 'drift and quality as a page with plots',
      answer: async (_request, response) => {
        const page = reportPage(options, {
          drift: await monitor.drift(),
          quality: monitor.quality(),
          predictions: monitor.predictions(),
          profile: monitor.profile,
          settings: monitor.settings,
          task: monitor.signature?.task,
        })
        response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY)
        response.type('html').send(page)
      },
    },
  ]
}

function driftJson(monitor: Monitor): RequestHandler {
  return async (request: Request, response: Response) => {
    const { features, prediction, ...rest } = await monitor.drift()
    const withoutHistogram = ({
      name,
      kind,
      method,
      score,
      drifted,
      missing,
      measures,
    }: (typeof features)[number]) => ({
      name,
      kind,
      method,
      score,
      drifted,
      missing,
      measures,
    })
    const value = {
      ...rest,
      minRows: monitor.settings.minRows,
      threshold: monitor.settings.rule.threshold,
      hasProfile: monitor.profile !== undefined,
      features: features.map(withoutHistogram),
      ...(prediction !== undefined && { prediction: withoutHistogram(prediction) }),
      quality: monitor.quality(),
    }
    answerJson(() => value)(request, response, () => undefined)
  }
}

type FeedbackAnswerer = (request: Request, response: Response, bytes: Buffer) => Promise<void>

/** Law: a label counts for the revision that gave the answer, whichever revision the client reached with it. */
function feedbackAnswerer({ monitor, registry, revision, passOn }: MonitorPagesOptions): FeedbackAnswerer {
  const count = feedbackCounter(registry)
  return async (request, response, bytes) => {
    response.setHeader(REVISION_HEADER, revision)
    try {
      response.json(takeFeedback(monitor, parseJson(bytes), count))
    } catch (error) {
      const isUnknown = error instanceof ApiError && error.code === 'not_found'
      const elsewhere = isUnknown ? await passOn(asSent(request, bytes)) : undefined
      if (elsewhere === undefined || elsewhere.status === 404 || elsewhere.status >= 500) {
        if (error instanceof ApiError) count(isUnknown ? 'unknown' : 'invalid')
        throw error
      }
      count('passed-on')
      for (let at = 0; at < elsewhere.headers.length; at += 2) {
        response.setHeader(elsewhere.headers[at] ?? '', elsewhere.headers[at + 1] ?? '')
      }
      response.status(elsewhere.status).end(elsewhere.body)
    }
  }
}

function asSent({ url, headers, rawHeaders }: Request, body: Buffer): InferenceRequest {
  return { url, headers, rawHeaders, body, receivedAt: performance.now() }
}

const GONE = Symbol('the client left')

async function jsonBytes(request: Request, bodies: BodyLimits): Promise<Buffer | typeof GONE> {
  checkJsonType(request.headers)
  const body = await new Promise<Body>((resolve) => readBody(request, bodies, resolve))
  if (body.kind === 'gone') return GONE
  if (body.kind === 'refused') throw body.error
  return body.bytes
}
