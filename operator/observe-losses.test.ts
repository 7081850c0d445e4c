import { expect, test } from '@jest/globals'
import type { V1ConfigMap, V1Deployment, V1Service } from '@kubernetes/client-node'
import { specOf } from './core/story.ts'
import { NO_MEMORY, observe, type CachedChildren } from './observe.ts'
import { NO_CHILDREN, SILENT_SCRAPER } from './testing.ts'

const metadata = { name: 'm', namespace: 'ns', uid: 'uid', generation: 1, resourceVersion: '1', creationTimestamp: '' }
const owned = (name: string, uid = 'uid') => ({
  name,
  uid: `uid of ${name}`,
  ownerReferences: [{ apiVersion: 'penstock.dev/v1alpha1', kind: 'ModelDeployment', name: 'm', uid, controller: true }],
})
async function look(children: Partial<CachedChildren>) {
  const resource = { metadata, spec: specOf('good') }
  const { observation } = await observe(resource, { ...NO_CHILDREN, ...children }, NO_MEMORY, {
    scraper: SILENT_SCRAPER,
    now: () => 0,
  })
  return observation
}

const deployment = (annotations: Record<string, string>): V1Deployment => ({
  metadata: owned('m-1'),
  spec: { replicas: 1, selector: {}, template: { metadata: { annotations } } },
})
const service: V1Service = { metadata: owned('m-1'), spec: { ports: [{ port: 8080, appProtocol: 'https' }] } }

test('what a revision speaks is its Deployment to say, and its Service when that is gone', async () => {
  const secure = deployment({ 'penstock.dev/scheme': 'https' })
  expect((await look({ deployments: [secure] })).workloads.get('m-1')?.scheme).toBe('https')
  const both = await look({ deployments: [deployment({})], services: [service] })
  expect(both.workloads.get('m-1')?.scheme).toBe('http')
  expect((await look({ services: [service] })).workloads.get('m-1')?.scheme).toBe('https')
})

test("what pods were told is read from our own ConfigMap, and from nobody else's", async () => {
  const told = (uid: string): V1ConfigMap => ({
    metadata: owned('m-traffic', uid),
    data: { 'm-1.json': JSON.stringify({ id: 4 }) },
  })
  expect((await look({ configMaps: [told('uid')] })).written).toEqual({ id: 4, peers: {} })
  expect((await look({ configMaps: [told('another')] })).written).toBeUndefined()
})
