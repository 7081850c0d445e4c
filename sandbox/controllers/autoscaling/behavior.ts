import type { HorizontalPodAutoscaler, ScalingPolicy, ScalingRules } from './objects.ts'

const DEFAULT_UP: Required<Pick<ScalingRules, 'stabilizationWindowSeconds' | 'selectPolicy' | 'policies'>> = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
}
const DEFAULT_DOWN: typeof DEFAULT_UP = {
  stabilizationWindowSeconds: 300,
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
}
const LONGEST_WINDOW_MS = 3_600_000

/** What an autoscaler remembers between its looks; it starts anew with the process, as the real one's memory does. */
export interface Memory {
  readonly recommendations: readonly { readonly atMs: number; readonly replicas: number }[]
  /** Replicas added (positive) or taken away (negative), and when. */
  readonly changes: readonly { readonly atMs: number; readonly replicas: number }[]
}

export const emptyMemory: Memory = { recommendations: [], changes: [] }

export interface Limited {
  readonly replicas: number
  /** Reason and message of AbleToScale. */
  readonly able: readonly [reason: string, message: string]
  /** Reason and message of ScalingLimited; undefined when the metrics got what they asked for. */
  readonly limit?: readonly [reason: string, message: string]
}

interface Request {
  readonly current: number
  readonly proposed: number
  readonly min: number
  readonly max: number
}

/** What is left of a proposal after stabilization, the scaling policies and the bounds (autoscaling/v2 behavior). */
export function limit(hpa: HorizontalPodAutoscaler, request: Request, memory: Memory, nowMs: number): Limited {
  const up = { ...DEFAULT_UP, ...hpa.spec.behavior?.scaleUp }
  const down = { ...DEFAULT_DOWN, ...hpa.spec.behavior?.scaleDown }
  const stabilized = stabilize(
    request,
    { up: up.stabilizationWindowSeconds, down: down.stabilizationWindowSeconds },
    memory,
    nowMs,
  )
  const able = ableToScale(request.proposed, stabilized)
  const { replicas, limit: reached } = ratelimit(request, stabilized, { up, down }, { memory, nowMs })
  return { replicas, able, ...(reached === undefined ? {} : { limit: reached }) }
}

function ableToScale(proposed: number, stabilized: number): readonly [string, string] {
  if (stabilized === proposed) return ['ReadyForNewScale', 'recommended size matches current size']
  return stabilized > proposed
    ? [
        'ScaleDownStabilized',
        'recent recommendations were higher than current one, applying the highest recent recommendation',
      ]
    : [
        'ScaleUpStabilized',
        'recent recommendations were lower than current one, applying the lowest recent recommendation',
      ]
}

/** Scales up only to the lowest, down only to the highest recommendation of the window. */
function stabilize(
  request: Request,
  windowSeconds: { up: number; down: number },
  memory: Memory,
  nowMs: number,
): number {
  const since = (seconds: number): number[] =>
    memory.recommendations.filter(({ atMs }) => atMs > nowMs - seconds * 1000).map(({ replicas }) => replicas)
  const lowest = Math.min(request.proposed, ...since(windowSeconds.up))
  const highest = Math.max(request.proposed, ...since(windowSeconds.down))
  return Math.min(Math.max(request.current, lowest), highest)
}

interface Rules {
  readonly up: typeof DEFAULT_UP
  readonly down: typeof DEFAULT_DOWN
}

interface Past {
  readonly memory: Memory
  readonly nowMs: number
}

function ratelimit(request: Request, desired: number, rules: Rules, past: Past): Pick<Limited, 'replicas' | 'limit'> {
  const { current, min, max } = request
  if (desired > current) {
    const rate = Math.max(current, upperLimit(current, rules.up, past))
    if (desired <= Math.min(max, rate)) return { replicas: desired }
    return rate < max
      ? {
          replicas: rate,
          limit: ['ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate'],
        }
      : {
          replicas: max,
          limit: ['TooManyReplicas', 'the desired replica count is more than the maximum replica count'],
        }
  }
  if (desired < current) {
    const rate = Math.min(current, lowerLimit(current, rules.down, past))
    if (desired >= Math.max(min, rate)) return { replicas: desired }
    return rate > min
      ? {
          replicas: rate,
          limit: ['ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate'],
        }
      : { replicas: min, limit: ['TooFewReplicas', 'the desired replica count is less than the minimum replica count'] }
  }
  return { replicas: desired }
}

function upperLimit(current: number, rules: Rules['up'], past: Past): number {
  if (rules.selectPolicy === 'Disabled') return current
  const limits = rules.policies.map((policy) => {
    const start = sizeAtStart(current, policy, past)
    return policy.type === 'Pods' ? start + policy.value : Math.ceil(start * (1 + policy.value / 100))
  })
  return rules.selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits)
}

function lowerLimit(current: number, rules: Rules['down'], past: Past): number {
  if (rules.selectPolicy === 'Disabled') return current
  const limits = rules.policies.map((policy) => {
    const start = sizeAtStart(current, policy, past)
    return policy.type === 'Pods' ? start - policy.value : Math.floor(start * (1 - policy.value / 100))
  })
  return rules.selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits)
}

/** The size when the policy's period began: the current one without what the period changed. */
function sizeAtStart(current: number, policy: ScalingPolicy, { memory, nowMs }: Past): number {
  const recent = memory.changes.filter(({ atMs }) => atMs > nowMs - policy.periodSeconds * 1000)
  return current - recent.reduce((sum, { replicas }) => sum + replicas, 0)
}

/** The memory after a look: its recommendation, the change that was made, and nothing older than any window. */
export function remember(memory: Memory, seen: { recommended?: number; changed: number }, nowMs: number): Memory {
  const recent = <T extends { atMs: number }>(entries: readonly T[]): T[] =>
    entries.filter(({ atMs }) => atMs > nowMs - LONGEST_WINDOW_MS)
  const recommended = seen.recommended === undefined ? [] : [{ atMs: nowMs, replicas: seen.recommended }]
  const changed = seen.changed === 0 ? [] : [{ atMs: nowMs, replicas: seen.changed }]
  return {
    recommendations: [...recent(memory.recommendations), ...recommended],
    changes: [...recent(memory.changes), ...changed],
  }
}
