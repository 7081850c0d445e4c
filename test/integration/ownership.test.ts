import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'
import { MODEL_DEPLOYMENT } from '../../operator/caches.ts'
import { revisionName } from '../../operator/core/revision.ts'
import { CONTROLLER_REVISION, DEPLOYMENT, POD } from '../../operator/kube/resources.ts'
import {
  conditionOf,
  createPlace,
  eventually,
  exampleModel,
  isStalled,
  NAMESPACE,
  serves,
  type Place,
} from './place.ts'

jest.setTimeout(120_000)

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(async () => {
  await place.close()
}, 60_000)

const spec = (version: 'v1' | 'v2' = 'v1'): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: { steps: [{ weight: 50, hold: '1s' }] },
})

const podsOf = async (name: string) =>
  (await place.client.list(POD, { namespace: NAMESPACE, labelSelector: `penstock.dev/modeldeployment=${name}` })).items

test('a ModelDeployment that is deleted and made again has children of its own, and serves', async () => {
  await place.apply('again', spec())
  await place.until('again', 'v1 to serve', serves('v1'))
  const before = new Set((await podsOf('again')).map((pod) => pod.metadata?.uid))
  const first = await place.read('again')
  await place.remove('again')
  const second = await place.apply('again', spec())
  expect(second.metadata.uid).not.toBe(first.metadata.uid)
  await place.until('again', 'v1 to serve again', serves('v1'))
  const deployment = await place.client.get(DEPLOYMENT, {
    namespace: NAMESPACE,
    name: revisionName('again', spec()),
  })
  expect(deployment.metadata?.ownerReferences?.map((owner) => owner.uid)).toEqual([second.metadata.uid])
  await eventually('the old pods to be gone', async () =>
    (await podsOf('again')).some((pod) => before.has(pod.metadata?.uid)) ? undefined : true,
  )
})

test('a ControllerRevision that somebody else planted is neither believed nor changed', async () => {
  const revision = revisionName('planted', spec())
  const labels = { 'app.kubernetes.io/managed-by': 'penstock', 'penstock.dev/modeldeployment': 'planted' }
  const container = { name: 'server', image: 'somebody/elses:1' }
  await place.client.create(CONTROLLER_REVISION, {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: revision, namespace: NAMESPACE, labels },
    revision: 1,
    data: { uri: 'x', sha256: 'x', template: { spec: { containers: [container] } } },
  })
  await place.apply('planted', spec())
  const status = await place.until('planted', 'the foreign object to be named', isStalled)
  expect(conditionOf(status, 'Stalled')).toMatchObject({ reason: 'ApplyFailed' })
  expect(conditionOf(status, 'Stalled')?.message).toContain(
    `ControllerRevision ${revision} exists and belongs to nobody`,
  )
  const deployments = await place.client.list(DEPLOYMENT, { namespace: NAMESPACE })
  expect(deployments.items.map((each) => each.metadata?.name)).not.toContain(revision)
  await place.client.delete(CONTROLLER_REVISION, { namespace: NAMESPACE, name: revision })
  await place.until('planted', 'v1 to serve once it is gone', serves('v1'))
})

test('users are answered all the time while a record and the whole status are lost', async () => {
  await place.apply('bereft', spec())
  await place.until('bereft', 'v1 to serve', serves('v1'))
  const traffic = await place.traffic('bereft')
  await place.client.delete(CONTROLLER_REVISION, { namespace: NAMESPACE, name: revisionName('bereft', spec()) })
  const stalled = await place.until('bereft', 'the loss to be told', isStalled)
  expect(conditionOf(stalled, 'Stalled')).toMatchObject({ reason: 'RecordMissing' })
  await place.stopOperator()
  const { status: _lost, ...bare } = await place.read('bereft')
  await place.client.updateStatus(MODEL_DEPLOYMENT, { ...bare, status: {} })
  await place.startOperator()
  const regained = await place.until('bereft', 'stable to be known again', (status) => status.stable !== undefined)
  expect(regained.stable?.revision).toBe(revisionName('bereft', spec()))
  await place.apply('bereft', spec('v2'))
  await place.until('bereft', 'v2 to serve', serves('v2'), 90)
  const total = await traffic.stop()
  expect(total.failures).toEqual([])
  expect(total.sent).toBeGreaterThan(100)
})
