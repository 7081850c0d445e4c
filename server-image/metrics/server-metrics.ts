/** Every metric of the model server: names, labels and meaning. The names are an interface; dashboards hold on to them. */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { CounterFamily, PlainHistogram, type Count } from './plain.ts'

/**
 * In seconds. A linear model answers in tens of microseconds, a transformer in a second; a request that waits ten is refused. Nobody
 * can be alerted about more than the last one.
 */
const LATENCY_BOUNDS = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
/** Distinct values of `prediction_class`; the rest are counted as `other`. */
const MAX_CLASSES = 100
const MAX_CLASS_CHARACTERS = 64

/** What the metrics read when they are scraped. */
export interface MetricSources {
  readonly revision: string
  readonly version: string
  readonly sha256: () => string
  readonly planId: () => number
  readonly queuedRows: () => number
}

/** `success`: 2xx. `invalid`: the request was bad (4xx but 429). `error`: our failure, 5xx or 429. */
export type PredictionStatus = 'success' | 'invalid' | 'error'

/** Resolved series of one route. */
export type EndpointCounts = Readonly<Record<PredictionStatus, Count>>

export class ServerMetrics {
  readonly registry = new Registry()
  readonly latencySeconds: PlainHistogram
  readonly batchRows: PlainHistogram
  readonly #predictions: CounterFamily
  readonly #clientAnswers: CounterFamily
  readonly #relayed: CounterFamily
  readonly #classes: CounterFamily
  readonly #knownClasses = new Map<number | string, Count>()
  readonly #otherClasses: () => Count

  constructor(sources: MetricSources) {
    const { registry } = this
    this.#predictions = new CounterFamily(registry, {
      name: 'ml_predictions_total',
      help: 'Inference requests answered by this process, by route and outcome (success, invalid, error).',
    })
    this.#clientAnswers = new CounterFamily(registry, {
      name: 'penstock_client_answers_total',
      help: 'Answers that clients got from this process, whichever revision computed them, by route and outcome. What other pods relay here is no client.',
    })
    this.latencySeconds = new PlainHistogram(
      registry,
      {
        name: 'ml_prediction_latency_seconds',
        help: 'Time to a successful answer, from the complete request, in seconds.',
      },
      LATENCY_BOUNDS,
    )
    this.#classes = new CounterFamily(registry, {
      name: 'ml_prediction_distribution',
      help: `Predicted classes; after ${MAX_CLASSES} distinct ones the rest is counted as "other".`,
    })
    this.#otherClasses = () => this.#classes.with({ prediction_class: 'other' })
    this.#relayed = new CounterFamily(registry, {
      name: 'penstock_relay_requests_total',
      help: 'Requests meant for the peer revision, by what became of them.',
    })
    this.batchRows = new PlainHistogram(
      registry,
      { name: 'penstock_batch_rows', help: 'Rows that were computed together in one run of the model.' },
      BATCH_BOUNDS,
    )
    registerGauges(registry, sources)
  }

  /** Of answers that this process computed. */
  endpoint(endpoint: string): EndpointCounts {
    return countsOf(this.#predictions, endpoint)
  }

  /** Of answers that clients got. */
  clientAnswers(endpoint: string): EndpointCounts {
    return countsOf(this.#clientAnswers, endpoint)
  }

  countRelayed(peer: string, result: string): void {
    this.#relayed.with({ peer, result }).increment()
  }

  countClass(said: number | string): void {
    const label = typeof said === 'string' && said.length > MAX_CLASS_CHARACTERS ? beginningOf(said) : said
    let count = this.#knownClasses.get(label)
    if (count === undefined) {
      if (this.#knownClasses.size >= MAX_CLASSES) return this.#otherClasses().increment()
      count = this.#classes.with({ prediction_class: String(label) })
      this.#knownClasses.set(label, count)
    }
    count.increment()
  }
}

/** By way of bytes: a slice of a string would keep the whole of it in memory. */
function beginningOf(text: string): string {
  return Buffer.from(text.slice(0, MAX_CLASS_CHARACTERS)).toString('utf8')
}

function countsOf(family: CounterFamily, endpoint: string): EndpointCounts {
  const count = (status: PredictionStatus) => family.with({ endpoint, status })
  return { success: count('success'), invalid: count('invalid'), error: count('error') }
}

function registerGauges(registry: Registry, sources: MetricSources): void {
  const registers = [registry]
  new Gauge({
    name: 'penstock_model_info',
    help: 'The model that this process serves; always 1.',
    labelNames: ['revision', 'version', 'sha256'],
    registers,
    collect() {
      this.reset()
      this.set({ revision: sources.revision, version: sources.version, sha256: sources.sha256() }, 1)
    },
  })
  new Gauge({
    name: 'penstock_traffic_plan_id',
    help: 'Id of the traffic plan in force; 0 before the first.',
    registers,
    collect() {
      this.set(sources.planId())
    },
  })
  new Gauge({
    name: 'penstock_queue_depth',
    help: 'Rows that wait for the model.',
    registers,
    collect() {
      this.set(sources.queuedRows())
    },
  })
}

/** CPU, memory, event loop and garbage collection of the process, under prom-client's usual names. */
export function addProcessMetrics({ registry }: ServerMetrics): void {
  collectDefaultMetrics({ register: registry })
}
