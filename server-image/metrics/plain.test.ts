import { describe, expect, test } from '@jest/globals'
import { Registry } from 'prom-client'
import { CounterFamily, PlainHistogram } from './plain.ts'
import { ServerMetrics } from './server-metrics.ts'

describe('metrics that cost one addition', () => {
  test('are scraped as Prometheus text', async () => {
    const registry = new Registry()
    const family = new CounterFamily(registry, { name: 'requests_total', help: 'Requests.' })
    family.with({ endpoint: 'a "b"' }).increment()
    family.with({ endpoint: 'a "b"' }).increment(2)
    const histogram = new PlainHistogram(registry, { name: 'seconds', help: 'Time.' }, [0.1, 1])
    for (const value of [0.1, 0.5, 5]) histogram.observe(value)
    expect(await registry.metrics()).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{endpoint="a \\"b\\""} 3

# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{le="0.1"} 1
seconds_bucket{le="1"} 2
seconds_bucket{le="+Inf"} 3
seconds_sum 5.6
seconds_count 3
`)
  })
})

describe('the server’s metrics', () => {
  const sources = { revision: 'r', version: '1', sha256: () => 'abc', planId: () => 7, queuedRows: () => 2 }

  test('have the names that dashboards hold on to', async () => {
    const metrics = new ServerMetrics(sources)
    metrics.endpoint('predict').success.increment()
    metrics.countClass(1)
    const text = await metrics.registry.metrics()
    for (const line of [
      'ml_predictions_total{endpoint="predict",status="success"} 1',
      'ml_prediction_latency_seconds_bucket{le="0.025"} 0',
      'ml_prediction_distribution{prediction_class="1"} 1',
      'penstock_model_info{revision="r",version="1",sha256="abc"} 1',
      'penstock_traffic_plan_id 7',
      'penstock_queue_depth 2',
    ]) {
      expect(text).toContain(line)
    }
  })

  test('have a bounded number of classes, however many a model predicts', async () => {
    const metrics = new ServerMetrics(sources)
    for (let label = 0; label < 1000; label += 1) metrics.countClass(`class-${label}`)
    const text = await metrics.registry.metrics()
    expect(text.match(/^ml_prediction_distribution\{/gm)).toHaveLength(101)
    expect(text).toContain('ml_prediction_distribution{prediction_class="other"} 900')
  })
})
