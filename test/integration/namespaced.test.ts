/** An operator for one namespace, which has a Role there and no rights anywhere else. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeployment, ModelDeploymentSpec } from '../../operator/api/resource.ts'
import { MODEL_DEPLOYMENT } from '../../operator/caches.ts'
import {
  CONTROLLER_REVISION,
  DEPLOYMENT,
  JOB,
  NAMESPACE as NAMESPACES,
  SERVICE,
} from '../../operator/kube/resources.ts'
import type { Resource } from '../../operator/kube/resource.ts'
import { createPlace, exampleModel, NAMESPACE, serves, type Place } from './place.ts'

jest.setTimeout(120_000)

let place: Place
beforeAll(async () => {
  place = await createPlace({ scope: NAMESPACE })
}, 60_000)
afterAll(() => place.close(), 60_000)

const spec = (version: 'v1' | 'v2'): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  service: { port: 8000 },
  rollout: { steps: [{ weight: 50, hold: '1s' }] },
})

test('a ModelDeployment in its namespace is rolled out, and one elsewhere is ignored', async () => {
  const elsewhere = { namespace: 'elsewhere', name: 'theirs' }
  await place.client.create(NAMESPACES, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: elsewhere.namespace },
  })
  await place.client.create(MODEL_DEPLOYMENT, { metadata: elsewhere, spec: spec('v1') } as unknown as ModelDeployment)
  await place.apply('ours', spec('v1'))
  await place.until('ours', 'v1 to serve', serves('v1'))
  await place.apply('ours', spec('v2'))
  await place.until('ours', 'v2 to serve', serves('v2'))
  expect((await place.client.get(MODEL_DEPLOYMENT, elsewhere)).status).toBeUndefined()
  for (const resource of [CONTROLLER_REVISION, DEPLOYMENT, SERVICE, JOB])
    expect((await place.client.list(resource as Resource, { namespace: elsewhere.namespace })).items).toEqual([])
})
