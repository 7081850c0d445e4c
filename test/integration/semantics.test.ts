import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { REVISION_LABEL } from '../../operator/core/children/object.ts'
import { createReflector } from '../../operator/kube/reflector.ts'
import { nameOf } from '../../operator/kube/resource.ts'
import { ENDPOINT_SLICE, POD } from '../../operator/kube/resources.ts'
import { GRPCInferenceService } from '../../server-image/serve/grpc/generated/open_inference_pb.js'
import { createPlace, eventually, exampleModel, NAMESPACE, serves, type Place } from './place.ts'

jest.setTimeout(240_000)

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(async () => {
  await place.close()
}, 60_000)

const spec = (version: 'v1' | 'v2' | 'v4', hold = '1s'): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 2 },
  service: { port: 8000 },
  rollout: {
    steps: [{ weight: 50, hold }],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.05 } }],
    minSamples: 50,
    scaleDownDelay: '30s',
  },
})

/** Watches how many ready endpoints the Service of a ModelDeployment has, and remembers the fewest. */
async function watchEndpoints(name: string) {
  const slices = createReflector({
    client: place.client,
    resource: ENDPOINT_SLICE,
    namespace: NAMESPACE,
    labelSelector: `kubernetes.io/service-name=${name}`,
  })
  let fewest = Infinity
  const look = () => {
    const endpoints = slices.store.list().flatMap((slice) => slice.endpoints ?? [])
    fewest = Math.min(fewest, endpoints.filter((endpoint) => endpoint.conditions?.ready !== false).length)
  }
  slices.start()
  await slices.synced
  look()
  slices.store.subscribe(look)
  return { fewest: () => fewest, stop: () => slices.stop() }
}

test('the Service of users has a ready endpoint at every moment of a promotion, a rollback and the loss of a pod', async () => {
  await place.apply('watched', spec('v1'))
  await place.until('watched', 'v1 to serve', serves('v1'))
  const endpoints = await watchEndpoints('watched')
  const traffic = await place.traffic('watched')
  await place.apply('watched', spec('v2'))
  const promoted = await place.until('watched', 'v2 to serve', serves('v2'), 90)
  await place.apply('watched', spec('v4', '1h'))
  const rolledBack = (status: ModelDeploymentStatus) => status.history?.[0]?.outcome === 'RolledBack'
  await place.until('watched', 'v4 to be rolled back', rolledBack, 90)
  const revision = promoted.stable?.revision ?? ''
  const pods = await place.client.list(POD, { namespace: NAMESPACE, labelSelector: `${REVISION_LABEL}=${revision}` })
  const [pod] = pods.items
  if (pod !== undefined) await place.client.delete(POD, nameOf(pod))
  await place.until('watched', 'the pod to be replaced', (status) => status.stable?.readyReplicas === 2, 60)
  const total = await traffic.stop()
  await endpoints.stop()
  expect(endpoints.fewest()).toBeGreaterThanOrEqual(1)
  expect(total.failures).toEqual([])
})

test('gRPC goes through the same Service, and is split with REST', async () => {
  const withGrpc = (version: 'v1' | 'v2') => ({ ...spec(version, '1h'), service: { port: 8000, grpcPort: 9001 } })
  await place.apply('calls', withGrpc('v1'))
  await place.until('calls', 'v1 to serve', serves('v1'))
  await place.apply('calls', withGrpc('v2'))
  const isShifting = ({ rollout }: ModelDeploymentStatus) => rollout?.phase === 'Shifting' && rollout.weight === 50
  await place.until('calls', 'v2 to get half of the requests', isShifting, 90)
  const { host } = await place.serviceAddress('calls')
  const client = createClient(GRPCInferenceService, createGrpcTransport({ baseUrl: `http://${host}:9001` }))
  const { inputs } = await client.modelMetadata({ name: 'calls' })
  const question = {
    modelName: 'calls',
    inputs: inputs.map(({ name, datatype, shape: wanted }) => {
      const shape = wanted.map((size) => (size < 0n ? 1n : size))
      const elements = Number(shape.reduce((product, size) => product * size, 1n))
      return { name, datatype, shape, contents: { fp32Contents: Array<number>(elements).fill(1) } }
    }),
  }
  const versions: string[] = []
  // Plans reach stable's pods one by one.
  await eventually('both versions to answer', async () => {
    versions.push((await client.modelInfer(question)).modelVersion)
    return new Set(versions.slice(-10)).size === 2 ? true : undefined
  })
  expect(new Set(versions)).toEqual(new Set(['v1', 'v2']))
  await place.remove('calls')
})
