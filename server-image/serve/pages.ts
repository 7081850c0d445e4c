import type { Evidence } from '../../protocol/evidence.ts'
import type { ServerMetrics } from '../metrics/server-metrics.ts'
import { answerJson, type PageRoute } from './http/app.ts'
import { openApiPages, type OpenApiPagesOptions } from './openapi/pages.ts'
import type { Traffic } from './traffic/traffic.ts'
import { v2PagesOf } from './v2/pages.ts'

export interface PagesOptions extends OpenApiPagesOptions {
  readonly evidencePath: string
  /** Random, of this process. */
  readonly instance: string
  readonly traffic: Traffic
  readonly metrics: ServerMetrics
}

/** What can be read from the server. */
export function pagesOf(options: PagesOptions): PageRoute[] {
  const { state, metrics } = options
  const okWhen = (condition: () => boolean) => () => (condition() ? 200 : 503)
  return [
    {
      path: '/health',
      summary: 'whether the model is loaded, and which version',
      answer: answerJson(
        () => healthOf(options),
        okWhen(() => state.model !== undefined),
      ),
    },
    { path: '/livez', summary: 'whether the process lives', answer: answerJson(() => ({ status: 'alive' })) },
    {
      path: '/readyz',
      summary: 'whether new requests are welcome: loaded, warmed up and not draining',
      answer: answerJson(
        () => ({ status: state.isReady ? 'ready' : state.isDraining ? 'draining' : 'loading' }),
        okWhen(() => state.isReady),
      ),
    },
    {
      path: '/metrics',
      summary: 'Prometheus metrics',
      answer: async (_request, response) => {
        response.type(metrics.registry.contentType).end(await metrics.registry.metrics())
      },
    },
    {
      path: options.evidencePath,
      summary: 'counters by traffic plan, which gates judge',
      answer: answerJson(() => evidenceOf(options)),
    },
    ...v2PagesOf(options),
    ...openApiPages(options),
  ]
}

function healthOf({ state, modelVersion }: PagesOptions) {
  const isLoaded = state.model !== undefined
  const status = !isLoaded ? 'loading' : state.isDraining ? 'draining' : 'healthy'
  return { status, model_loaded: isLoaded, version: modelVersion }
}

function evidenceOf({ state, traffic, instance, revision, modelVersion }: PagesOptions): Evidence {
  return {
    instance,
    revision,
    version: modelVersion,
    sha256: state.model?.sha256 ?? '',
    ready: state.isReady,
    planId: traffic.planId,
    breaker: traffic.breaker,
    directRequests: traffic.directRequests,
    relayedIn: traffic.relayedIn,
    answers: traffic.answers(),
  }
}
