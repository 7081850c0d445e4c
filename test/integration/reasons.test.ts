import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { SECRET } from '../../operator/kube/resources.ts'
import {
  conditionOf,
  createPlace,
  isOfOperator,
  exampleModel,
  NAMESPACE,
  serves,
  type Place,
  type Write,
} from './place.ts'

jest.setTimeout(120_000)

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(() => place.close(), 60_000)

const spec = (version: 'v1' | 'v2', rest: Partial<ModelDeploymentSpec> = {}): ModelDeploymentSpec => ({
  scaling: { replicas: 1 },
  service: { port: 8500 },
  rollout: { steps: [{ weight: 50, hold: '1s' }] },
  model: { uri: exampleModel(version), version },
  ...rest,
})
const whyNotReady = (status: ModelDeploymentStatus) => conditionOf(status, 'Ready')?.message ?? ''
const says = (words: string) => (status: ModelDeploymentStatus) => whyNotReady(status).includes(words)

test('a field that Kubernetes does not know in a pod template rejects the revision at once, with its name, and is not tried on and on', async () => {
  const name = 'mistyped'
  await place.apply(name, spec('v1', { service: { port: 8501 } }))
  await place.until(name, 'v1 to serve', serves('v1'))
  const server = { podTemplate: { spec: { nodeSelectr: { gpu: 'yes' } } } }
  await place.apply(name, spec('v2', { server, service: { port: 8501 } }))
  const rejected = await place.until(name, 'a rejection', (status) => status.rejected !== undefined)
  expect(rejected.rejected).toMatchObject([{ gate: 'InvalidTemplate' }])
  expect(whyNotReady(rejected)).toContain('nodeSelectr: field not declared in schema')
  expect(conditionOf(rejected, 'Stalled')).toMatchObject({ status: 'True' })
  expect(conditionOf(rejected, 'Available')).toMatchObject({ status: 'True' })
  const asked = (write: Write) =>
    isOfOperator(write) && write.resource === 'deployments' && write.name === rejected.rejected?.[0]?.revision
  expect(place.writes.filter(asked).length).toBeLessThan(4)
})

test('a Secret of credentials that is missing is named, and the model is fetched once it is there', async () => {
  const name = 'unlettered'
  const model = { uri: exampleModel('v1'), version: 'v1', credentialsSecretRef: { name: 's3-read' } }
  await place.apply(name, spec('v1', { model, service: { port: 8502 } }))
  await place.until(name, 'the Secret to be named', says('CreateContainerConfigError: secret "s3-read" not found'))
  const secret = { metadata: { name: 's3-read', namespace: NAMESPACE }, stringData: { AWS_REGION: 'eu-west-1' } }
  await place.client.apply(SECRET, secret, { fieldManager: 'test', force: true })
  await place.until(name, 'v1 to serve', serves('v1'), 60)
})

test('a Secret of TLS that is missing is named as what the pod waits for', async () => {
  const server = { tls: { secretName: 'absent-tls' } }
  await place.apply('uncertified', spec('v1', { server, service: { port: 8503 } }))
  const status = await place.until('uncertified', 'the Secret to be named', says('Secret absent-tls'), 45)
  expect(whyNotReady(status)).toContain('which may be missing')
})

test('a Secret of TLS without its authority is told by the last words of the server', async () => {
  const name = 'unguarded'
  const stringData = { 'tls.crt': 'no certificate', 'tls.key': 'no key' }
  const secret = { metadata: { name: 'bad-tls', namespace: NAMESPACE }, stringData }
  await place.client.apply(SECRET, secret, { fieldManager: 'test', force: true })
  await place.apply(name, spec('v1', { server: { tls: { secretName: 'bad-tls' } }, service: { port: 8504 } }))
  const status = await place.until(name, 'a rejection', ({ rejected }) => rejected !== undefined, 60)
  expect(status.rejected?.[0]?.message).toMatch(
    /Error \(exit code 1\): \S*tls\.crt holds no certificate; it must be PEM/,
  )
})
