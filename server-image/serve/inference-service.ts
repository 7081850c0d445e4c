/** Answers inference requests: through the traffic plan, by this revision's model, with every failure in words. */
import { performance } from 'node:perf_hooks'
import { DURATION_HEADER, REQUEST_ID_HEADER, REVISION_HEADER } from '../../protocol/headers.ts'
import type { AnswerId, RecentAnswers } from '../monitor/recent-answers.ts'
import type { EndpointCounts, PredictionStatus, ServerMetrics } from '../metrics/server-metrics.ts'
import { JSON_TYPE, errorHeaders, isOk, type Answer } from './answer.ts'
import { ApiError, notLoaded } from './api-error.ts'
import type { Hold } from './hold.ts'
import type { AnswerBody, InferenceRequest, InferenceRoute } from './inference.ts'
import type { ServingState } from './serving-state.ts'
import type { Traffic } from './traffic/traffic.ts'

export interface InferenceServiceOptions {
  readonly revision: string
  readonly state: ServingState
  readonly traffic: Traffic
  readonly metrics: ServerMetrics
  /** Gives answers their ids. */
  readonly answers: RecentAnswers
  readonly hold: Hold
  /** Told of failures that no request should be able to cause. */
  readonly onInternalError: (error: unknown) => void
}

interface Asked {
  readonly id: AnswerId
  readonly receivedAt: number
}

interface RouteCounts {
  /** By this revision. */
  readonly computed: EndpointCounts
  readonly toClients: EndpointCounts
  /** Takes note of what the peer answered a client. */
  readonly passedOn: (answer: Answer) => void
}

export class InferenceService {
  readonly #options: InferenceServiceOptions
  readonly #counts = new Map<InferenceRoute, RouteCounts>()

  constructor(options: InferenceServiceOptions) {
    this.#options = options
  }

  /** Never rejects. */
  answer(route: InferenceRoute, request: InferenceRequest): Promise<Answer> {
    const answerOurselves = (asked: InferenceRequest) => this.#answerOurselves(route, asked)
    const { traffic } = this.#options
    return route.isPinned
      ? traffic.answerPinned(request, answerOurselves)
      : traffic.answer(request, answerOurselves, this.#countsOf(route).passedOn)
  }

  /** The answer to a request that could not even be read. */
  refusal(route: InferenceRoute, error: ApiError, request: Pick<InferenceRequest, 'headers' | 'receivedAt'>): Answer {
    const { receivedAt } = request
    const answer = this.#failed(route, error, { id: this.#options.answers.newId(), receivedAt })
    this.#count(route, request, answer)
    return answer
  }

  async #answerOurselves(route: InferenceRoute, request: InferenceRequest): Promise<Answer> {
    const id = this.#options.answers.newId(request.headers[REQUEST_ID_HEADER] as string | undefined)
    const { receivedAt } = request
    let answer: Answer
    try {
      const { model } = this.#options.state
      if (model === undefined) throw notLoaded()
      answer = this.#succeeded(await route.answer(request, model, id), { id, receivedAt })
    } catch (error) {
      answer = this.#failed(route, error, { id, receivedAt })
      await this.#held(error, request)
    }
    this.#count(route, request, answer)
    return answer
  }

  /** A pod that relays has another to ask, and its client waits. */
  async #held(error: unknown, { headers, body, waitedMs = 0 }: InferenceRequest): Promise<void> {
    const mayBeHeldMs = error instanceof ApiError ? error.details.mayBeHeldMs : undefined
    if (mayBeHeldMs === undefined || this.#options.traffic.isRelayed({ headers })) return
    await this.#options.hold.wait(mayBeHeldMs - waitedMs, body.length)
  }

  #succeeded(body: AnswerBody, { id, receivedAt }: Asked): Answer {
    const durationMs = performance.now() - receivedAt
    const isJson = typeof body === 'string'
    const headers = this.#stamped(isJson ? ['content-type', JSON_TYPE] : [...body.headers], id, durationMs)
    return { status: 200, headers, body: isJson ? body : body.bytes, durationMs }
  }

  #failed(route: InferenceRoute, thrown: unknown, { id, receivedAt }: Asked): Answer {
    const error = thrown instanceof ApiError ? thrown : this.#internal(thrown)
    const durationMs = performance.now() - receivedAt
    const headers = this.#stamped(errorHeaders(error), id, durationMs)
    return { status: error.status, headers, body: route.wording(error), durationMs, failure: error.message }
  }

  #internal(thrown: unknown): ApiError {
    this.#options.onInternalError(thrown)
    return new ApiError('internal', 'The server failed on this request; its log says why.')
  }

  #stamped(headers: string[], id: AnswerId, durationMs: number): string[] {
    const { revision } = this.#options
    headers.push(REVISION_HEADER, revision, REQUEST_ID_HEADER, id.text)
    headers.push(DURATION_HEADER, String(Math.round(durationMs * 1000)))
    return headers
  }

  /** A relayed request is no client's: its client is counted where it asked. */
  #count(route: InferenceRoute, request: Pick<InferenceRequest, 'headers'>, answer: Answer): void {
    const { computed, toClients } = this.#countsOf(route)
    const outcome = outcomeOf(answer)
    computed[outcome].increment()
    if (!this.#options.traffic.isRelayed(request)) toClients[outcome].increment()
    if (isOk(answer)) this.#options.metrics.latencySeconds.observe(answer.durationMs / 1000)
  }

  #countsOf(route: InferenceRoute): RouteCounts {
    let counts = this.#counts.get(route)
    if (counts === undefined) {
      const { metrics } = this.#options
      const toClients = metrics.clientAnswers(route.endpoint)
      const passedOn = (answer: Answer) => toClients[outcomeOf(answer)].increment()
      counts = { computed: metrics.endpoint(route.endpoint), toClients, passedOn }
      this.#counts.set(route, counts)
    }
    return counts
  }
}

function outcomeOf(answer: Answer): PredictionStatus {
  if (isOk(answer)) return 'success'
  return answer.status >= 500 || answer.status === 429 ? 'error' : 'invalid'
}
