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

export function policyOf(spec: ModelDeploymentSpec): Policy {
  const rollout = spec.rollout ?? {}
  const onInsufficientData = rollout.onInsufficientData ?? 'Hold'
  const sticky = spec.routing?.sticky?.header.toLowerCase()
  return {
    steps: rollout.steps ?? [],
    gates: (rollout.gates ?? []).flatMap(gateOf),
    minSamples: rollout.minSamples ?? 200,
    onInsufficientData: onInsufficientData === 'Replay' ? 'Hold' : onInsufficientData,
    onFailure: rollout.onFailure ?? 'Rollback',
    progressDeadlineMs: parseDurationMs(rollout.progressDeadline ?? '30m'),
    scaleDownDelayMs: Math.max(parseDurationMs(rollout.scaleDownDelay ?? '5m'), MIN_SCALE_DOWN_DELAY_MS),
    historyLimit: rollout.historyLimit ?? 5,
    paused: rollout.paused ?? false,
    ...(sticky !== undefined && { sticky }),
  }
}

function gateOf(gate: GateSpecOfApi): GateSpec[] {
  if (gate.errorRate !== undefined) return [{ name: gate.name, errorRate: gate.errorRate }]
  if (gate.latency !== undefined) return [{ name: gate.name, latency: gate.latency }]
  return []
}

/** How many stable pods spec asks for when nobody scales them; undefined when an HPA decides. */
export function fixedReplicas(spec: ModelDeploymentSpec): number | undefined {
  return spec.autoscaling === undefined ? (spec.scaling?.replicas ?? 1) : undefined
}
