import type { GateSpecOfApi, ModelDeploymentSpec, StepSpec } from '../api/resource.ts'
import type { GateSpec } from './gates/verdict.ts'
import { parseDurationMs } from './instant.ts'

const MIN_SCALE_DOWN_DELAY_MS = 30_000

/** spec.rollout and its neighbours with every default resolved and every duration in milliseconds. */
export interface Policy {
  readonly steps: readonly StepSpec[]
  readonly gates: readonly GateSpec[]
  readonly minSamples: number
  readonly onInsufficientData: 'Hold' | 'Proceed' | 'Fail'
  readonly onFailure: 'Rollback' | 'Pause'
  readonly progressDeadlineMs: number
  readonly scaleDownDelayMs: number
  readonly historyLimit: number
  readonly paused: boolean
  readonly sticky?: string
}

/** The schema's own defaults, for a resource that was stored before a field existed. */
const DEFAULTS = {
  steps: [],
  gates: [],
  minSamples: 200,
  onInsufficientData: 'Hold',
  onFailure: 'Rollback',
  progressDeadline: '30m',
  scaleDownDelay: '5m',
  historyLimit: 5,
  paused: false,
} as const

export function policyOf(spec: ModelDeploymentSpec): Policy {
  const rollout = { ...DEFAULTS, ...spec.rollout }
  const { onInsufficientData } = rollout
  const sticky = spec.routing?.sticky?.header.toLowerCase()
  return {
    steps: rollout.steps,
    gates: rollout.gates.flatMap(gateOf),
    minSamples: rollout.minSamples,
    onInsufficientData: onInsufficientData === 'Replay' ? 'Hold' : onInsufficientData,
    onFailure: rollout.onFailure,
    progressDeadlineMs: parseDurationMs(rollout.progressDeadline),
    scaleDownDelayMs: Math.max(parseDurationMs(rollout.scaleDownDelay), MIN_SCALE_DOWN_DELAY_MS),
    historyLimit: rollout.historyLimit,
    paused: rollout.paused,
    ...(sticky !== undefined && { sticky }),
  }
}

function gateOf(gate: GateSpecOfApi): GateSpec[] {
  if (gate.errorRate !== undefined) return [{ name: gate.name, errorRate: gate.errorRate }]
  if (gate.latency !== undefined) return [{ name: gate.name, latency: gate.latency }]
  return []
}

/** How many stable pods spec asks for; undefined when an HPA decides, or when spec does not say: then the size that is there stays. */
export function fixedReplicas(spec: ModelDeploymentSpec): number | undefined {
  return spec.autoscaling === undefined ? spec.scaling?.replicas : undefined
}
