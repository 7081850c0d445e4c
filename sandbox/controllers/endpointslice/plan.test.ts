import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { examplePod, T0, type PodFacts } from '../examples.ts'
import type { EndpointSlice, Pod, Service } from '../objects.ts'
import { timestamp } from '../timestamps.ts'
import { planEndpointSlices, selectsPods } from './plan.ts'

function service(spec: Partial<Service['spec']> = {}): Service {
  return {
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'uid-web',
      resourceVersion: '1',
      creationTimestamp: timestamp(T0),
      labels: { team: 'a' },
    },
    spec: {
      selector: { app: 'web' },
      ports: [{ name: 'web', port: 80, targetPort: 'http' }],
      clusterIP: '10.96.0.1',
      ...spec,
    },
  }
}

/** Writes a plan to the slices. */
function apply(of: Service, pods: readonly Pod[], slices: readonly EndpointSlice[]): EndpointSlice[] {
  const plan = planEndpointSlices({ service: of, pods, slices })
  const updates = new Map(plan.update.map((slice) => [slice.metadata.name, slice]))
  const kept = slices
    .filter((slice) => !plan.remove.includes(slice))
    .map((slice) => updates.get(slice.metadata.name) ?? slice)
  const created = plan.create.map((slice, index): EndpointSlice => {
    const name = `web-${slices.length + index}-${pods.length}`
    return {
      ...slice,
      metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: timestamp(T0), ...slice.metadata },
    }
  })
  return [...kept, ...created]
}

describe('the endpoints of a Service', () => {
  const cases: [string, PodFacts, Partial<Service['spec']>, object | undefined][] = [
    ['a ready pod is ready and serving', {}, {}, { ready: true, serving: true, terminating: false }],
    ['an unready pod is neither', { ready: false }, {}, { ready: false, serving: false, terminating: false }],
    [
      'a ready pod that is being deleted still serves',
      { deleting: true },
      {},
      { ready: false, serving: true, terminating: true },
    ],
    [
      'publishNotReadyAddresses makes everything ready',
      { ready: false },
      { publishNotReadyAddresses: true },
      { ready: true, serving: false, terminating: false },
    ],
    ['a finished pod is left out', { phase: 'Succeeded' }, {}, undefined],
    ['a pod without an address is left out', { ip: '' }, {}, undefined],
    ['a pod with other labels is left out', { labels: { app: 'db' } }, {}, undefined],
  ]
  test.each(cases)('%s', (_name, facts, spec, conditions) => {
    const [slice] = planEndpointSlices({ service: service(spec), pods: [examplePod('a', facts)], slices: [] }).create
    expect(slice?.endpoints?.[0]?.conditions).toEqual(conditions)
  })

  test('names the pod, its node and the number of its named port', () => {
    const [slice] = planEndpointSlices({ service: service(), pods: [examplePod('a')], slices: [] }).create
    expect(slice).toMatchObject({
      addressType: 'IPv4',
      metadata: {
        generateName: 'web-',
        labels: {
          team: 'a',
          'kubernetes.io/service-name': 'web',
          'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', uid: 'uid-web', controller: true }],
      },
      endpoints: [
        {
          addresses: ['10.0.0.1'],
          nodeName: 'node-1',
          targetRef: { kind: 'Pod', namespace: 'default', name: 'a', uid: 'uid-a' },
        },
      ],
      ports: [{ name: 'web', port: 8080, protocol: 'TCP' }],
    })
  })

  test('pods whose named port has another number get a slice of their own', () => {
    const other = examplePod('b')
    other.spec.containers = [{ name: 'main', ports: [{ name: 'http', containerPort: 9090 }] }]
    const { create } = planEndpointSlices({ service: service(), pods: [examplePod('a'), other], slices: [] })
    expect(create.map((slice) => slice.ports?.[0]?.port)).toEqual([8080, 9090])
  })

  test('a Service without pods has one empty slice, which its first pod takes', () => {
    const empty = apply(service(), [], [])
    expect(empty).toMatchObject([{ endpoints: [], ports: [] }])
    const filled = apply(service(), [examplePod('a')], empty)
    expect(filled.map((slice) => [slice.metadata.name, slice.endpoints?.length, slice.ports?.length])).toEqual([
      [empty[0]?.metadata.name, 1, 1],
    ])
  })

  test('every pod is in exactly one slice of at most 100, and a second look changes nothing', () => {
    const counts = fc.array(fc.integer({ min: 0, max: 320 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(counts, (sizes) => {
        let slices: EndpointSlice[] = []
        for (const size of sizes) {
          const pods = Array.from({ length: size }, (_, index) => examplePod(`p${index * (1 + (size % 3))}`))
          slices = apply(service(), pods, slices)
          const uids = slices.flatMap((slice) => (slice.endpoints ?? []).map((endpoint) => endpoint.targetRef?.uid))
          expect(uids.sort()).toEqual(pods.map((pod) => pod.metadata.uid).sort())
          expect(Math.max(...slices.map((slice) => slice.endpoints?.length ?? 0))).toBeLessThanOrEqual(100)
          expect(planEndpointSlices({ service: service(), pods, slices })).toEqual({
            create: [],
            update: [],
            remove: [],
          })
        }
      }),
      { numRuns: 30 },
    )
  })

  test('a Service without selector and an ExternalName are left to people', () => {
    expect(selectsPods(service({ selector: {} }))).toBe(false)
    expect(selectsPods(service({ type: 'ExternalName' }))).toBe(false)
    expect(selectsPods(service())).toBe(true)
  })
})
