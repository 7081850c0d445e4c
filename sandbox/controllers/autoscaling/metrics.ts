import type { Pod } from '../objects.ts'
import { conditionOf, isDeleting } from '../pod-state.ts'
import { quantityValue } from '../../../operator/kube/quantity.ts'
import { millisOf } from '../timestamps.ts'
import type { MetricSpec, MetricStatus } from './objects.ts'

/** What a pod uses now. */
export interface PodUsage {
  readonly cpuMillicores: number
  readonly memoryBytes: number
}

/** Usage of a pod, as the metrics API of a cluster would tell it; undefined when none was measured yet. */
export type UsageOf = (pod: Pod) => PodUsage | undefined

export type Proposal =
  | { readonly kind: 'replicas'; readonly replicas: number; readonly metric: string; readonly status: MetricStatus }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string }

interface Target {
  readonly pods: readonly Pod[]
  readonly currentReplicas: number
  readonly usageOf: UsageOf
  readonly nowMs: number
}

const TOLERANCE = 0.1
/** A pod's cpu is not believed while it starts: for this long after its start only if it has been ready for a whole sample. */
const CPU_INITIALIZATION_MS = 300_000
const INITIAL_READINESS_MS = 30_000

/** The replicas that one metric asks for (the HPA's replica calculator). */
export function proposalOf(metric: MetricSpec, target: Target): Proposal {
  const { resource } = metric
  if (metric.type !== 'Resource' || resource === undefined) {
    const message = `metrics of type ${metric.type} have no source here: only Resource metrics do`
    return failed(`FailedGet${metric.type}Metric`, message)
  }
  if (resource.name !== 'cpu' && resource.name !== 'memory') {
    return failedResource(`unable to get metrics for resource ${resource.name}: only cpu and memory are measured`)
  }
  const { target: goal, name } = resource
  if (goal.type === 'Utilization' && goal.averageUtilization !== undefined)
    return byUtilization(name, goal.averageUtilization, target)
  const wanted = goal.averageValue === undefined ? undefined : quantityValue(goal.averageValue)
  if (wanted === undefined || wanted <= 0)
    return failedResource(`invalid resource metric source: neither a utilization target nor a value target was set`)
  return byValue(name, wanted, target)
}

function failed(reason: string, message: string): Proposal {
  return { kind: 'failed', reason, message: `the HPA was unable to compute the replica count: ${message}` }
}

function failedResource(message: string): Proposal {
  return failed('FailedGetResourceMetric', message)
}

type ResourceName = 'cpu' | 'memory'

function byUtilization(name: ResourceName, goalPercent: number, target: Target): Proposal {
  const groups = group(name, target)
  if (groups.measured.length === 0) return failedResource(noMetrics(name))
  const requests = new Map<Pod, number>()
  for (const pod of target.pods) {
    const request = requestOf(pod, name)
    if (typeof request === 'string') return failedResource(request)
    requests.set(pod, request)
  }
  const goalOf = (pod: Pod): number => ((requests.get(pod) ?? 0) * goalPercent) / 100
  const used = sum(groups.measured.map(({ used }) => used))
  const requested = sum(groups.measured.map(({ pod }) => requests.get(pod) ?? 0))
  if (requested === 0) return failedResource(`no metrics returned matched known pods`)
  const averageUtilization = Math.floor((used * 100) / requested)
  const replicas = replicasFor(averageUtilization / goalPercent, groups, { ...target, goalOf })
  const current = { averageUtilization, averageValue: format(name, used / groups.measured.length) }
  const status: MetricStatus = { type: 'Resource', resource: { name, current } }
  return { kind: 'replicas', replicas, metric: `${name} resource utilization (percentage of request)`, status }
}

function byValue(name: ResourceName, goal: number, target: Target): Proposal {
  const groups = group(name, target)
  if (groups.measured.length === 0) return failedResource(noMetrics(name))
  const average = sum(groups.measured.map(({ used }) => used)) / groups.measured.length
  const replicas = replicasFor(average / goal, groups, { ...target, goalOf: () => goal })
  const status: MetricStatus = {
    type: 'Resource',
    resource: { name, current: { averageValue: format(name, average) } },
  }
  return { kind: 'replicas', replicas, metric: `${name} resource`, status }
}

function noMetrics(name: ResourceName): string {
  return `failed to get ${name} utilization: unable to get metrics for resource ${name}: no metrics returned from resource metrics API`
}

interface Measured {
  readonly pod: Pod
  readonly used: number
}

interface Groups {
  readonly measured: readonly Measured[]
  /** Pods that start: their cpu says nothing yet. */
  readonly unready: readonly Pod[]
  readonly missing: readonly Pod[]
}

function group(name: ResourceName, { pods, usageOf, nowMs }: Target): Groups {
  const measured: Measured[] = []
  const unready: Pod[] = []
  const missing: Pod[] = []
  for (const pod of pods) {
    if (isDeleting(pod) || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') continue
    const usage = usageOf(pod)
    if (pod.status?.phase === 'Pending') unready.push(pod)
    else if (usage === undefined) missing.push(pod)
    else if (name === 'cpu' && isStarting(pod, nowMs)) unready.push(pod)
    else measured.push({ pod, used: name === 'cpu' ? usage.cpuMillicores / 1000 : usage.memoryBytes })
  }
  return { measured, unready, missing }
}

function isStarting(pod: Pod, nowMs: number): boolean {
  const ready = conditionOf(pod.status?.conditions, 'Ready')
  const started = millisOf(pod.status?.startTime)
  if (ready === undefined || started === undefined) return true
  if (ready.status === 'True') return false
  if (started + CPU_INITIALIZATION_MS > nowMs) return true
  const changed = millisOf(ready.lastTransitionTime) ?? started
  return started + INITIAL_READINESS_MS > changed
}

/**
 * Replicas for a usage ratio (1 = on target). Missing and starting pods are assumed to say the opposite of what the others say:
 * that they use nothing when it scales up, all of their target when it scales down; if that turns the decision round, nothing changes.
 */
function replicasFor(ratio: number, groups: Groups, target: Target & { goalOf: (pod: Pod) => number }): number {
  const { measured, unready, missing } = groups
  const { currentReplicas, goalOf } = target
  const counted = ratio > 1 ? unready : []
  if (missing.length === 0 && counted.length === 0) {
    return withinTolerance(ratio) ? currentReplicas : Math.ceil(ratio * measured.length - 1e-9)
  }
  const assumed = ratio < 1 ? sum(missing.map(goalOf)) : 0
  const pods = [...measured.map(({ pod }) => pod), ...missing, ...counted]
  const newRatio = (sum(measured.map(({ used }) => used)) + assumed) / sum(pods.map(goalOf))
  if (withinTolerance(newRatio) || ratio < 1 !== newRatio < 1) return currentReplicas
  const replicas = Math.ceil(newRatio * pods.length - 1e-9)
  const contrary = newRatio < 1 ? replicas > currentReplicas : replicas < currentReplicas
  return contrary ? currentReplicas : replicas
}

function withinTolerance(ratio: number): boolean {
  return Math.abs(1 - ratio) <= TOLERANCE
}

/** A pod's request; a text that says which container has none. */
function requestOf(pod: Pod, name: ResourceName): number | string {
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always')
  let total = 0
  for (const container of [...pod.spec.containers, ...sidecars]) {
    const request = quantityValue(container.resources?.requests?.[name] ?? '')
    if (request === undefined)
      return `failed to get ${name} utilization: missing request for ${name} in container ${container.name} of Pod ${pod.metadata.name}`
    total += request
  }
  return total
}

function format(name: ResourceName, value: number): string {
  return name === 'cpu' ? `${Math.round(value * 1000)}m` : String(Math.round(value))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
