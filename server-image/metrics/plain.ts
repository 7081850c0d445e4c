/**
 * Counters and histograms that cost one addition in the hot path: labels are resolved once, and prom-client sees the numbers only
 * when somebody scrapes. (Its own `inc` builds a key from the labels each time.)
 */
import type { Metric, Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

interface Description {
  readonly name: string
  readonly help: string
}

/** One series of a counter. */
export class Count {
  value = 0

  increment(by = 1): void {
    this.value += by
  }
}

export class CounterFamily {
  readonly #children = new Map<string, { readonly labels: Labels; readonly count: Count }>()

  constructor(registry: Registry, description: Description) {
    register(registry, { ...description, type: 'counter' }, () =>
      [...this.#children.values()].map(({ labels, count }) => ({ labels, value: count.value })),
    )
  }

  /** The series of these labels, made if there is none; keep it. */
  with(labels: Labels): Count {
    const key = JSON.stringify(labels)
    const child = this.#children.get(key) ?? { labels, count: new Count() }
    this.#children.set(key, child)
    return child.count
  }
}

export class PlainHistogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** @param bounds upper edges in ascending order, without infinity */
  constructor(registry: Registry, description: Description, bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
    register(registry, { ...description, type: 'histogram' }, () => this.#samples(description.name))
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket += 1
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  #samples(name: string): Sample[] {
    let count = 0
    const buckets: Sample[] = [...this.#counts].map((inBucket, index) => {
      count += inBucket
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[index] ?? '+Inf' }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ]
  }
}

/** The registry asks a metric only for its name and for `get()`; its type demands one of prom-client's own classes. */
function register(
  registry: Registry,
  description: Description & { readonly type: string },
  samples: () => Sample[],
): void {
  const metric = {
    ...description,
    get: () => ({ ...description, aggregator: 'sum', values: samples() }),
    reset: () => undefined,
  }
  registry.registerMetric(metric as unknown as Metric)
}
