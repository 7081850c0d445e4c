import { describe, expect, test } from '@jest/globals'
import { examplePod, T0, type PodFacts } from '../examples.ts'
import type { PodDisruptionBudget } from '../objects.ts'
import { timestamp } from '../timestamps.ts'
import { planBudget } from './plan.ts'

function plan(
  spec: PodDisruptionBudget['spec'],
  pods: PodFacts[],
  status?: Partial<NonNullable<PodDisruptionBudget['status']>>,
) {
  const budget: PodDisruptionBudget = {
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'uid',
      resourceVersion: '1',
      generation: 3,
      creationTimestamp: timestamp(T0),
    },
    spec,
    status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, ...status },
  }
  return planBudget(
    { budget, pods: pods.map((facts, index) => examplePod(`p${index}`, facts)), workloadReplicas: 4 },
    T0,
  )
}

describe('a disruption budget', () => {
  const cases: [string, PodDisruptionBudget['spec'], PodFacts[], number[]][] = [
    [
      'of maxUnavailable counts from the size that the workload asks for',
      { maxUnavailable: 1 },
      [{}, {}, {}, {}],
      [1, 4, 3, 4],
    ],
    ['allows nothing while pods are missing', { maxUnavailable: 1 }, [{}, {}, {}], [0, 3, 3, 4]],
    ['rounds a share of unavailable pods up', { maxUnavailable: '30%' }, [{}, {}, {}, {}], [2, 4, 2, 4]],
    ['of minAvailable as a number counts the pods there are', { minAvailable: 2 }, [{}, {}, {}], [1, 3, 2, 3]],
    ['rounds a share of available pods up', { minAvailable: '60%' }, [{}, {}, {}, {}], [1, 4, 3, 4]],
    [
      'does not count unready and leaving pods as healthy',
      { maxUnavailable: 2 },
      [{}, {}, { ready: false }, { deleting: true }],
      [0, 2, 2, 4],
    ],
  ]
  test.each(cases)('%s', (_name, spec, pods, [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods]) => {
    const { status } = plan(spec, pods)
    expect(status).toMatchObject({
      disruptionsAllowed,
      currentHealthy,
      desiredHealthy,
      expectedPods,
      observedGeneration: 3,
    })
    const reason = disruptionsAllowed === 0 ? 'InsufficientPods' : 'SufficientPods'
    expect(status.conditions).toMatchObject([
      { type: 'DisruptionAllowed', status: disruptionsAllowed === 0 ? 'False' : 'True', reason },
    ])
  })

  test('takes a pod for gone as soon as its eviction is granted, for two minutes', () => {
    const fresh = plan({ maxUnavailable: 1 }, [{}, {}, {}, {}], { disruptedPods: { p1: timestamp(T0) } })
    expect(fresh.status).toMatchObject({
      disruptionsAllowed: 0,
      currentHealthy: 3,
      disruptedPods: { p1: timestamp(T0) },
    })
    expect(fresh.lookAgainAt).toBe(T0 + 120_000)
    const stale = plan({ maxUnavailable: 1 }, [{}, {}, {}, {}], { disruptedPods: { p1: timestamp(T0 - 121_000) } })
    expect(stale.status).toMatchObject({ disruptionsAllowed: 1, currentHealthy: 4 })
    expect(stale.status).not.toHaveProperty('disruptedPods')
  })
})
