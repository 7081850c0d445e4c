import { expect, test } from '@jest/globals'
import { Registry } from 'prom-client'
import { createKubeMetrics } from './metrics.ts'

test("are there under client-go's names", async () => {
  const registry = new Registry()
  const metrics = createKubeMetrics(registry)
  const queue = metrics.workqueue('models')
  queue.added()
  queue.depth(1)
  queue.waited(0.2)
  queue.worked(0.3)
  queue.retried()
  metrics.workqueue('pods').added()
  metrics.transport.connected('call')
  metrics.transport.answered({ method: 'GET', code: '200', durationMs: 20 })
  metrics.transport.retried({ method: 'GET', because: '429' })
  metrics.reflector.listed('pods', 7)
  metrics.reflector.watchStarted('pods')
  metrics.reflector.event('pods', 'ADDED')
  metrics.reflector.failed('pods', 'Expired')
  const text = await registry.metrics()
  for (const line of [
    'workqueue_adds_total{name="models"} 1',
    'workqueue_adds_total{name="pods"} 1',
    'workqueue_depth{name="models"} 1',
    'workqueue_queue_duration_seconds_sum{name="models"} 0.2',
    'workqueue_work_duration_seconds_count{name="models"} 1',
    'workqueue_retries_total{name="models"} 1',
    'rest_client_requests_total{method="GET",code="200"} 1',
    'rest_client_request_duration_seconds_sum{method="GET"} 0.02',
    'rest_client_connections_total{purpose="call"} 1',
    'reflector_items_per_list{resource="pods"} 7',
    'reflector_failures_total{resource="pods",reason="Expired"} 1',
  ]) {
    expect(text).toContain(line)
  }
})
