import { describe, expect, test } from '@jest/globals'
import { countByNode, inDeletionOrder } from './deletion-order.ts'
import { examplePod, T0, type PodFacts } from './examples.ts'

const HOUR = 3_600_000

describe('when a workload scales down', () => {
  const cases: [string, PodFacts, PodFacts][] = [
    [
      'a pod without a node goes before one with a node',
      { node: '', ready: false, phase: 'Pending' },
      { phase: 'Pending', ready: false },
    ],
    ['a pending pod goes before a running one', { phase: 'Pending', ready: false }, { ready: false }],
    [
      'an unready pod goes before a ready one',
      { ready: false, annotations: { 'controller.kubernetes.io/pod-deletion-cost': '9' } },
      {},
    ],
    [
      'the cheaper pod goes first',
      { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } },
      { readySince: T0 + 10 * HOUR },
    ],
    [
      'a malformed cost counts as 0',
      { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '+5' }, readySince: T0 + 10 * HOUR },
      {},
    ],
    ['the pod that became ready much later goes first', { readySince: T0 + 10 * HOUR, restarts: 0 }, { restarts: 7 }],
    ['of pods ready for equally long the one that restarted goes first', { restarts: 2 }, { restarts: 1 }],
    [
      'of pods alike the one created much later goes first',
      { created: T0 + 10 * HOUR, readySince: T0 + 11 * HOUR },
      { readySince: T0 + 11 * HOUR },
    ],
  ]
  test.each(cases)('%s', (_name, first, second) => {
    const now = T0 + 12 * HOUR
    const [a, b] = [examplePod('z-first', first), examplePod('a-second', second)]
    const none = new Map<string, number>()
    expect(inDeletionOrder([a, b], none, now)[0]).toBe(a)
    expect(inDeletionOrder([b, a], none, now)[0]).toBe(a)
  })

  test('a pod that shares its node with siblings goes before one that is alone on it', () => {
    const pods = [examplePod('a', { node: 'n1' }), examplePod('b', { node: 'n2' }), examplePod('c', { node: 'n2' })]
    const names = inDeletionOrder(pods, countByNode(pods), T0).map((pod) => pod.metadata.name)
    expect(names.at(-1)).toBe('a')
  })
})
