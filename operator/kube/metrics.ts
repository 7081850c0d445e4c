import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ReflectorMetrics } from './reflector.ts'
import type { TransportMetrics } from './transport.ts'
import type { WorkqueueMetrics } from './workqueue.ts'

export interface KubeMetrics {
  readonly transport: TransportMetrics
  readonly reflector: ReflectorMetrics
  /** Of one queue by its name. */
  workqueue(name: string): WorkqueueMetrics
}

/** What this layer counts, in Prometheus form; where client-go has a name for it, under that name, so that its dashboards work. */
export function createKubeMetrics(registry: Registry): KubeMetrics {
  return {
    transport: transportMetrics(registry),
    reflector: reflectorMetrics(registry),
    workqueue: workqueueMetrics(registry),
  }
}

function transportMetrics(registry: Registry): TransportMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by method and status code, or how they failed.',
    labelNames: ['method', 'code'],
    registers,
  })
  const durations = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Time to the head of the answer.',
    labelNames: ['method'],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers,
  })
  const retries = new Counter({
    name: 'rest_client_request_retries_total',
    help: 'Requests that were repeated, by why.',
    labelNames: ['method', 'because'],
    registers,
  })
  const connections = new Counter({
    name: 'rest_client_connections_total',
    help: 'Connections opened to the API server; with TLS each is one handshake.',
    labelNames: ['purpose'],
    registers,
  })
  return {
    connected: (purpose) => connections.inc({ purpose }),
    retried: (labels) => retries.inc(labels),
    answered({ method, code, durationMs }) {
      requests.inc({ method, code })
      durations.observe({ method }, durationMs / 1000)
    },
  }
}

function reflectorMetrics(registry: Registry): ReflectorMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = ['resource']) =>
    new Counter({ name, help, labelNames, registers })
  const lists = counter('reflector_lists_total', 'Complete states that were read.')
  const watches = counter('reflector_watches_total', 'Watches that were started.')
  const events = counter('reflector_events_total', 'Events of watches.', ['resource', 'type'])
  const failures = counter('reflector_failures_total', 'Lists and watches that failed.', ['resource', 'reason'])
  const items = new Gauge({
    name: 'reflector_items_per_list',
    help: 'Objects in the last complete state.',
    labelNames: ['resource'],
    registers,
  })
  return {
    listed(resource, objects) {
      lists.inc({ resource })
      items.set({ resource }, objects)
    },
    watchStarted: (resource) => watches.inc({ resource }),
    event: (resource, type) => events.inc({ resource, type }),
    failed: (resource, reason) => failures.inc({ resource, reason }),
  }
}

function workqueueMetrics(registry: Registry): (name: string) => WorkqueueMetrics {
  const labelNames = ['name']
  const registers = [registry]
  const buckets = [1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60]
  const depth = new Gauge({ name: 'workqueue_depth', help: 'Keys that wait for a worker.', labelNames, registers })
  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Additions of keys.', labelNames, registers })
  const retries = new Counter({ name: 'workqueue_retries_total', help: 'Keys that failed.', labelNames, registers })
  const waiting = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'Time that a key waits for a worker.',
    labelNames,
    buckets,
    registers,
  })
  const working = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'Time that the processing of a key takes.',
    labelNames,
    buckets,
    registers,
  })
  return (name) => ({
    depth: (keys) => depth.set({ name }, keys),
    added: () => adds.inc({ name }),
    waited: (seconds) => waiting.observe({ name }, seconds),
    worked: (seconds) => working.observe({ name }, seconds),
    retried: () => retries.inc({ name }),
  })
}
