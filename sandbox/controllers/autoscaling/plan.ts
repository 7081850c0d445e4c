import type { Condition, Pod } from '../objects.ts'
import { conditionOf } from '../pod-state.ts'
import { matches } from '../selector.ts'
import { timestamp } from '../timestamps.ts'
import { limit, remember, type Memory } from './behavior.ts'
import { proposalOf, type Proposal, type UsageOf } from './metrics.ts'
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerStatus,
  MetricSpec,
  MetricStatus,
  ScaleTarget,
} from './objects.ts'

const DEFAULT_METRICS: MetricSpec[] = [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
]

export interface AutoscalerObservation {
  readonly hpa: HorizontalPodAutoscaler
  /** The target's scale, or why it could not be read. */
  readonly scale: ScaleTarget | { readonly unreadable: string }
  /** The pods of the namespace. */
  readonly pods: readonly Pod[]
  readonly usageOf: UsageOf
}

export interface AutoscalerPlan {
  /** The size to write through `/scale`; undefined: leave it alone. */
  readonly scaleTo?: number
  /** The status once that write succeeded. */
  readonly status: HorizontalPodAutoscalerStatus
  readonly memory: Memory
}

/** One look of an autoscaler: bounds first, then the metrics, then the behavior's limits. */
export function planAutoscaling(seen: AutoscalerObservation, memory: Memory, nowMs: number): AutoscalerPlan {
  const { hpa, scale } = seen
  if ('unreadable' in scale) {
    const reason = 'FailedGetScale'
    const message = `the HPA controller was unable to get the target's current scale: ${scale.unreadable}`
    const conditions = withCondition(hpa.status?.conditions ?? [], ['AbleToScale', 'False', reason, message], nowMs)
    return { status: { ...unchangedStatus(hpa), conditions }, memory }
  }
  const known =
    memory.recommendations.length === 0 ? remember(memory, { recommended: scale.replicas, changed: 0 }, nowMs) : memory
  const decision = decide(seen, scale, known, nowMs)
  const changed = decision.replicas - scale.replicas
  const recommended = decision.recommended === undefined ? {} : { recommended: decision.recommended }
  return {
    ...(changed === 0 ? {} : { scaleTo: decision.replicas }),
    status: statusAfter(hpa, scale, decision, nowMs),
    memory: remember(known, { ...recommended, changed }, nowMs),
  }
}

type ConditionFacts = readonly [type: string, status: Condition['status'], reason: string, message: string]

interface Decision {
  readonly replicas: number
  /** What the metrics alone asked for. */
  readonly recommended?: number
  readonly metrics?: readonly MetricStatus[]
  readonly conditions: readonly ConditionFacts[]
}

const GOT_SCALE: ConditionFacts = [
  'AbleToScale',
  'True',
  'SucceededGetScale',
  "the HPA controller was able to get the target's current scale",
]

function decide(seen: AutoscalerObservation, scale: ScaleTarget, memory: Memory, nowMs: number): Decision {
  const { hpa } = seen
  const min = hpa.spec.minReplicas ?? 1
  const max = hpa.spec.maxReplicas
  if (scale.replicas === 0 && min !== 0) {
    const message = 'scaling is disabled since the replica count of the target is zero'
    return { replicas: 0, conditions: [GOT_SCALE, ['ScalingActive', 'False', 'ScalingDisabled', message]] }
  }
  if (scale.replicas > max) return { replicas: max, conditions: [GOT_SCALE] }
  if (scale.replicas < min) return { replicas: min, conditions: [GOT_SCALE] }
  return decideByMetrics(seen, { scale, min, max }, memory, nowMs)
}

interface Frame {
  readonly scale: ScaleTarget
  readonly min: number
  readonly max: number
}

function decideByMetrics(
  seen: AutoscalerObservation,
  { scale, min, max }: Frame,
  memory: Memory,
  nowMs: number,
): Decision {
  const { hpa, usageOf } = seen
  if (scale.selector === undefined) {
    const message = "the HPA target's scale is missing a selector"
    return { replicas: scale.replicas, conditions: [GOT_SCALE, ['ScalingActive', 'False', 'InvalidSelector', message]] }
  }
  const pods = seen.pods.filter((pod) => matches(scale.selector, pod.metadata.labels))
  const specs = (hpa.spec.metrics ?? []).length === 0 ? DEFAULT_METRICS : (hpa.spec.metrics ?? [])
  const proposals = specs.map((spec) => proposalOf(spec, { pods, currentReplicas: scale.replicas, usageOf, nowMs }))
  const { best, failure, statuses } = combine(proposals)
  // A metric that cannot be read might ask for more: then the others may scale up, but never down.
  if (best === undefined || (failure !== undefined && best.replicas < scale.replicas)) {
    const { reason, message } = failure ?? { reason: 'FailedGetResourceMetric', message: 'no metrics' }
    return {
      replicas: scale.replicas,
      metrics: statuses,
      conditions: [GOT_SCALE, ['ScalingActive', 'False', reason, message]],
    }
  }
  const limited = limit(hpa, { current: scale.replicas, proposed: best.replicas, min, max }, memory, nowMs)
  const [reason, message] = limited.limit ?? ['DesiredWithinRange', 'the desired count is within the acceptable range']
  const found = `the HPA was able to successfully calculate a replica count from ${best.metric}`
  return {
    replicas: limited.replicas,
    recommended: best.replicas,
    metrics: statuses,
    conditions: [
      ['AbleToScale', 'True', ...limited.able],
      ['ScalingActive', 'True', 'ValidMetricFound', found],
      ['ScalingLimited', limited.limit === undefined ? 'False' : 'True', reason, message],
    ],
  }
}

function combine(proposals: readonly Proposal[]): {
  best: (Proposal & { kind: 'replicas' }) | undefined
  failure: (Proposal & { kind: 'failed' }) | undefined
  statuses: MetricStatus[]
} {
  const valid = proposals.filter((proposal) => proposal.kind === 'replicas')
  const failure = proposals.find((proposal) => proposal.kind === 'failed')
  const [best] = [...valid].sort((a, b) => b.replicas - a.replicas)
  return { best, failure, statuses: valid.map(({ status }) => status) }
}

function statusAfter(
  hpa: HorizontalPodAutoscaler,
  scale: ScaleTarget,
  decision: Decision,
  nowMs: number,
): HorizontalPodAutoscalerStatus {
  const rescaled = decision.replicas !== scale.replicas
  const facts = [...decision.conditions]
  if (rescaled) {
    const message = `the HPA controller was able to update the target scale to ${decision.replicas}`
    facts.push(['AbleToScale', 'True', 'SucceededRescale', message])
  }
  const last = new Map(facts.map((fact) => [fact[0], fact]))
  let conditions = hpa.status?.conditions ?? []
  for (const fact of last.values()) conditions = withCondition(conditions, fact, nowMs)
  const lastScaleTime = rescaled ? timestamp(nowMs) : hpa.status?.lastScaleTime
  return {
    ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
    currentReplicas: scale.replicas,
    desiredReplicas: decision.replicas,
    currentMetrics: steadyMetrics(hpa.status?.currentMetrics ?? [], decision.metrics ?? []),
    conditions,
  }
}

/** A reading that moved by less than a tenth is no news: writing each one would keep an idle cluster busy. */
function steadyMetrics(before: readonly MetricStatus[], after: readonly MetricStatus[]): MetricStatus[] {
  return after.map((metric, index) => {
    const old = before[index]
    return old !== undefined && isNear(old, metric) ? old : metric
  })
}

function isNear(a: MetricStatus, b: MetricStatus): boolean {
  const from = readingOf(a)
  const to = readingOf(b)
  const near = (x: number, y: number, least: number): boolean => Math.abs(x - y) <= Math.max(least, Math.abs(x) / 10)
  return a.resource?.name === b.resource?.name && near(from.percent, to.percent, 1) && near(from.value, to.value, 5)
}

function readingOf(metric: MetricStatus): { percent: number; value: number } {
  const { averageUtilization = 0, averageValue = '0' } = metric.resource?.current ?? {}
  return { percent: averageUtilization, value: Number.parseInt(averageValue, 10) }
}

function withCondition(
  conditions: readonly Condition[],
  [type, status, reason, message]: ConditionFacts,
  nowMs: number,
): Condition[] {
  const current = conditionOf(conditions, type)
  const now = timestamp(nowMs)
  const lastTransitionTime = current?.status === status ? (current.lastTransitionTime ?? now) : now
  const next: Condition = { type, status, reason, message, lastTransitionTime }
  if (current === undefined) return [...conditions, next]
  return conditions.map((condition) => (condition === current ? next : condition))
}

function unchangedStatus(hpa: HorizontalPodAutoscaler): HorizontalPodAutoscalerStatus {
  return { desiredReplicas: 0, ...hpa.status }
}
