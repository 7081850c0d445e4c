import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { examplePod, T0 } from '../examples.ts'
import type { Pod } from '../objects.ts'
import { timestamp } from '../timestamps.ts'
import { emptyMemory, type Memory } from './behavior.ts'
import type { HorizontalPodAutoscaler } from './objects.ts'
import { planAutoscaling, type AutoscalerPlan } from './plan.ts'

const SELECTOR = { matchLabels: { app: 'web' } }

function autoscaler(spec: Partial<HorizontalPodAutoscaler['spec']> = {}): HorizontalPodAutoscaler {
  return {
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'uid',
      resourceVersion: '1',
      generation: 2,
      creationTimestamp: timestamp(T0),
    },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [utilization(50)],
      ...spec,
    },
  }
}

function utilization(averageUtilization: number): NonNullable<HorizontalPodAutoscaler['spec']['metrics']>[number] {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } }
}

/** Pods that ask for 100 millicores each. */
function pods(count: number): Pod[] {
  return Array.from({ length: count }, (_, index) => {
    const pod = examplePod(`p${index}`)
    pod.spec.containers = [{ name: 'main', resources: { requests: { cpu: '100m', memory: '64Mi' } } }]
    return pod
  })
}

interface Look {
  readonly replicas: number
  /** Millicores that each pod uses; undefined: not measured. */
  readonly cpu?: number
  readonly memory?: Memory
  readonly nowMs?: number
}

function look(hpa: HorizontalPodAutoscaler, { replicas, cpu, memory = emptyMemory, nowMs = T0 }: Look): AutoscalerPlan {
  const usage = cpu === undefined ? undefined : { cpuMillicores: cpu, memoryBytes: 1e6 }
  return planAutoscaling(
    { hpa, scale: { replicas, selector: SELECTOR }, pods: pods(replicas), usageOf: () => usage },
    memory,
    nowMs,
  )
}

function conditions(plan: AutoscalerPlan): Record<string, string> {
  return Object.fromEntries(
    (plan.status.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  )
}

describe('an autoscaler', () => {
  const cases: [string, Partial<HorizontalPodAutoscaler['spec']>, Look, number | undefined, Record<string, string>][] =
    [
      [
        'scales up in proportion',
        {},
        { replicas: 2, cpu: 100 },
        4,
        { ScalingActive: 'True ValidMetricFound', AbleToScale: 'True SucceededRescale' },
      ],
      [
        'leaves a ratio within a tenth of 1 alone',
        {},
        { replicas: 4, cpu: 54 },
        undefined,
        { AbleToScale: 'True ReadyForNewScale', ScalingLimited: 'False DesiredWithinRange' },
      ],
      [
        'stops at the maximum',
        { maxReplicas: 3 },
        { replicas: 2, cpu: 300 },
        3,
        { ScalingLimited: 'True TooManyReplicas' },
      ],
      ['grows by at most the policy', {}, { replicas: 1, cpu: 900 }, 5, { ScalingLimited: 'True ScaleUpLimit' }],
      [
        'raises to the minimum without metrics',
        { minReplicas: 3 },
        { replicas: 1 },
        3,
        { AbleToScale: 'True SucceededRescale' },
      ],
      [
        'lowers to the maximum without metrics',
        { maxReplicas: 3 },
        { replicas: 5 },
        3,
        { AbleToScale: 'True SucceededRescale' },
      ],
      [
        'does nothing without metrics',
        {},
        { replicas: 2 },
        undefined,
        { ScalingActive: 'False FailedGetResourceMetric' },
      ],
      [
        'does nothing when its target is scaled to 0',
        {},
        { replicas: 0, cpu: 1 },
        undefined,
        { ScalingActive: 'False ScalingDisabled' },
      ],
      [
        'does not scale up when that is disabled',
        { behavior: { scaleUp: { selectPolicy: 'Disabled' } } },
        { replicas: 2, cpu: 300 },
        undefined,
        { ScalingLimited: 'True ScaleUpLimit' },
      ],
      [
        'does not scale down when that is disabled',
        { behavior: { scaleDown: { selectPolicy: 'Disabled', stabilizationWindowSeconds: 0 } } },
        { replicas: 4, cpu: 1 },
        undefined,
        { ScalingLimited: 'True ScaleDownLimit' },
      ],
      [
        'scales down by the policy',
        {
          behavior: {
            scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
          },
        },
        { replicas: 4, cpu: 1 },
        3,
        { ScalingLimited: 'True ScaleDownLimit' },
      ],
      [
        'says which kinds of metrics it cannot read',
        { metrics: [{ type: 'External' }] },
        { replicas: 2, cpu: 1 },
        undefined,
        { ScalingActive: 'False FailedGetExternalMetric' },
      ],
    ]
  test.each(cases)('%s', (...[, spec, seen, scaleTo, expected]) => {
    const plan = look(autoscaler(spec), seen)
    expect(plan.scaleTo).toBe(scaleTo)
    expect(conditions(plan)).toMatchObject(expected)
    expect(plan.status).toMatchObject({
      currentReplicas: seen.replicas,
      desiredReplicas: scaleTo ?? seen.replicas,
    })
  })

  test('scales on an average value', () => {
    const metrics = [
      { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '500k' } } },
    ]
    expect(look(autoscaler({ metrics }), { replicas: 2, cpu: 1 }).scaleTo).toBe(4)
  })

  test('takes the metric that asks for most; one that cannot be read keeps it from scaling down', () => {
    expect(look(autoscaler({ metrics: [utilization(50), utilization(100)] }), { replicas: 2, cpu: 100 }).scaleTo).toBe(
      4,
    )
    const metrics = [utilization(50), { type: 'External' }]
    const behavior = { scaleDown: { stabilizationWindowSeconds: 0 } }
    expect(look(autoscaler({ metrics, behavior }), { replicas: 4, cpu: 1 }).scaleTo).toBeUndefined()
    expect(look(autoscaler({ metrics, behavior }), { replicas: 2, cpu: 100 }).scaleTo).toBe(4)
  })

  test('names the container that has no request', () => {
    const hpa = autoscaler()
    const usageOf = () => ({ cpuMillicores: 50, memoryBytes: 1 })
    const plan = planAutoscaling(
      { hpa, scale: { replicas: 1, selector: SELECTOR }, pods: [examplePod('a')], usageOf },
      emptyMemory,
      T0,
    )
    expect(plan.status.conditions?.find(({ type }) => type === 'ScalingActive')?.message).toContain(
      'missing request for cpu in container main of Pod a',
    )
  })

  test('scales down only to the highest need of the last five minutes', () => {
    const hpa = autoscaler()
    const first = look(hpa, { replicas: 4, cpu: 50 })
    const soon = look(hpa, { replicas: 4, cpu: 1, memory: first.memory, nowMs: T0 + 60_000 })
    expect(soon.scaleTo).toBeUndefined()
    expect(conditions(soon)).toMatchObject({ AbleToScale: 'True ScaleDownStabilized' })
    expect(look(hpa, { replicas: 4, cpu: 1, memory: soon.memory, nowMs: T0 + 301_000 }).scaleTo).toBe(1)
  })

  test('writes nothing new when it looks again and little changed', () => {
    const hpa = autoscaler()
    const first = look(hpa, { replicas: 4, cpu: 50 })
    const again = look(
      { ...hpa, status: first.status },
      { replicas: 4, cpu: 51, memory: first.memory, nowMs: T0 + 15_000 },
    )
    expect(again.status).toEqual(first.status)
  })

  test('never leaves its bounds', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(10), fc.integer({ min: 1, max: 30 }), fc.nat(1000)),
        ([minReplicas, extra, replicas, cpu]) => {
          const { status } = look(autoscaler({ minReplicas, maxReplicas: minReplicas + extra }), { replicas, cpu })
          expect(status.desiredReplicas).toBeGreaterThanOrEqual(minReplicas)
          expect(status.desiredReplicas).toBeLessThanOrEqual(minReplicas + extra)
        },
      ),
    )
  })

  test('says when it cannot read the scale', () => {
    const plan = planAutoscaling(
      { hpa: autoscaler(), scale: { unreadable: 'not found' }, pods: [], usageOf: () => undefined },
      emptyMemory,
      T0,
    )
    expect(plan.scaleTo).toBeUndefined()
    expect(conditions(plan)).toEqual({ AbleToScale: 'False FailedGetScale' })
  })
})
