/** The monitor's routes: the report for people, the same numbers as JSON, and feedback. */
import type { Request, RequestHandler, Response } from 'express'
import type { Registry } from 'prom-client'
import { answerJson, type PageRoute } from '../serve/http/app.ts'
import { readBody, type Body, type BodyLimits } from '../serve/http/body.ts'
import { checkJsonType } from '../serve/json/content-type.ts'
import { parseJson } from '../serve/json/json-body.ts'
import { takeFeedback } from './feedback.ts'
import { feedbackCounter } from './metrics.ts'
import type { Monitor } from './monitor.ts'
import { reportPage, type ReportedModel } from './report-page.ts'

export interface MonitorPagesOptions extends ReportedModel {
  readonly monitor: Monitor
  readonly registry: Registry
  readonly bodies: BodyLimits
}

/** Nothing may be loaded or run: the page is one document of text and inline drawings. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

export function monitorPages(options: MonitorPagesOptions): PageRoute[] {
  const { monitor, registry, bodies } = options
  const count = feedbackCounter(registry)
  return [
    {
      path: '/feedback',
      method: 'POST',
      summary: 'the truth about an answer: {"id": its x-request-id, "label": ...}, or "labels" for a batch',
      answer: async (request, response) => {
        const body = await jsonBody(request, bodies)
        if (body !== GONE) response.json(takeFeedback(monitor, body, count))
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
    const withoutHistogram = ({ name, kind, method, score, drifted, measures }: (typeof features)[number]) => ({
      name,
      kind,
      method,
      score,
      drifted,
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

const GONE = Symbol('the client left')

async function jsonBody(request: Request, bodies: BodyLimits): Promise<unknown> {
  checkJsonType(request.headers)
  const body = await new Promise<Body>((resolve) => readBody(request, bodies, resolve))
  if (body.kind === 'gone') return GONE
  if (body.kind === 'refused') throw body.error
  bodies.budget.giveBack(body.bytes.length)
  return parseJson(body.bytes)
}
