import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/**
 * The operator's own metrics. Law: no label ever holds the name of an object, so the number of series does not grow with the
 * cluster or with time.
 */
export interface OperatorMetrics {
  readonly registry: Registry
  reconciled(outcome: 'Success' | 'Error', seconds: number): void
  /** One transition, by the reason of its Event. */
  transition(reason: string): void
  leading(isLeader: boolean): void
}

export function createMetrics(): OperatorMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const reconciles = new Counter({
    name: 'penstock_reconciles_total',
    help: 'Reconciles of ModelDeployments by outcome.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'penstock_reconcile_duration_seconds',
    help: 'Time of one reconcile.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  })
  const transitions = new Counter({
    name: 'penstock_rollout_transitions_total',
    help: 'Transitions of rollouts by the reason of their Event.',
    labelNames: ['reason'],
    registers: [registry],
  })
  const leader = new Gauge({
    name: 'penstock_leader',
    help: '1 while this replica holds the lease.',
    registers: [registry],
  })
  return {
    registry,
    reconciled: (outcome, seconds) => {
      reconciles.inc({ outcome })
      durations.observe(seconds)
    },
    transition: (reason) => transitions.inc({ reason }),
    leading: (isLeader) => leader.set(isLeader ? 1 : 0),
  }
}
