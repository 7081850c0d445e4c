import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { examplePod, exampleReplicaSet, T0, type PodFacts } from '../examples.ts'
import { planReplicas, replicaSetStatus, slowStartBatches } from './plan.ts'

function plan(replicas: number, pods: PodFacts[], metadata = {}) {
  const examples = pods.map((facts, index) => examplePod(`p${index}`, facts))
  const seen = { replicaSet: exampleReplicaSet('rs', { replicas }, metadata), pods: examples, relatedPods: examples }
  const { create, remove } = planReplicas(seen, T0)
  return { create, remove: remove.map((pod) => pod.metadata.name) }
}

describe('a ReplicaSet', () => {
  test('creates what is missing', () => {
    expect(plan(3, [{}])).toEqual({ create: 2, remove: [] })
  })

  test('replaces pods that finished or are being deleted', () => {
    expect(plan(3, [{}, { phase: 'Failed' }, { deleting: true }])).toEqual({ create: 2, remove: [] })
  })

  test('deletes the surplus, the unready first', () => {
    expect(plan(1, [{}, { ready: false }, { phase: 'Pending', ready: false }])).toEqual({
      create: 0,
      remove: ['p2', 'p1'],
    })
  })

  test('that is being deleted leaves its pods to garbage collection', () => {
    expect(plan(5, [{}], { deletionTimestamp: '2026-01-01T00:00:00Z' })).toEqual({ create: 0, remove: [] })
  })

  test('counts ready, available and terminating pods apart', () => {
    const pods = [
      examplePod('old', { readySince: T0 - 60_000 }),
      examplePod('fresh', { readySince: T0 - 5_000 }),
      examplePod('starting', { ready: false }),
      examplePod('leaving', { deleting: true }),
      examplePod('gone', { phase: 'Succeeded' }),
    ]
    const replicaSet = exampleReplicaSet('rs', { replicas: 3, minReadySeconds: 10 })
    expect(replicaSetStatus(replicaSet, pods, undefined, T0)).toEqual({
      replicas: 3,
      fullyLabeledReplicas: 3,
      readyReplicas: 2,
      availableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 1,
    })
    expect(planReplicas({ replicaSet, pods, relatedPods: pods }, T0).lookAgainAt).toBe(T0 + 5_000)
  })

  test('starts slowly, and creates as many in all as asked', () => {
    expect(slowStartBatches(10)).toEqual([1, 2, 4, 3])
    fc.assert(
      fc.property(fc.nat(2000), (count) => slowStartBatches(count).reduce((sum, size) => sum + size, 0) === count),
    )
  })
})
