import { describe, expect, test } from '@jest/globals'
import type { V1Job } from '@kubernetes/client-node'
import { GOOD, World } from './core/world.ts'
import { NO_MEMORY, observe, type CachedChildren } from './observe.ts'
import { NO_CHILDREN, SILENT_SCRAPER } from './testing.ts'

const NOW = Date.parse('2026-01-01T00:01:00Z')
const REVISION = 'm-1a2b3c4d5e'
const { resource } = new World({ model: { uri: 'https://models.example/m.onnx' } }, () => GOOD)
const ownerReferences = [
  { apiVersion: 'penstock.dev/v1alpha1', kind: 'ModelDeployment', name: 'm', uid: 'uid', controller: true },
]

async function observed(children: Partial<CachedChildren>) {
  const { observation } = await observe(resource, { ...NO_CHILDREN, ...children }, NO_MEMORY, {
    scraper: SILENT_SCRAPER,
    now: () => NOW,
  })
  return observation
}

describe('pods that cannot even be created', () => {
  test('are a problem of their Deployment, in the words of whoever forbids them', async () => {
    const message = 'pods "m-1a2b3c4d5e-x" is forbidden: exceeded quota: small'
    const deployment = {
      metadata: { name: REVISION, uid: 'd', ownerReferences },
      spec: { selector: {}, template: {} },
      status: { conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }] },
    }
    const { workloads } = await observed({ deployments: [deployment] })
    expect(workloads.get(REVISION)).toMatchObject({ problem: `FailedCreate: ${message}` })
  })

  const job = (creationTimestamp: string): V1Job => ({
    metadata: {
      name: `${REVISION}-resolve`,
      uid: 'j',
      labels: { 'penstock.dev/resolve': REVISION },
      creationTimestamp: creationTimestamp as unknown as Date,
      ownerReferences,
    },
  })

  test('are a problem of their Job after twenty seconds, which names where the reason is', async () => {
    const { resolves } = await observed({ jobs: [job('2026-01-01T00:00:40Z')] })
    expect(resolves.get(REVISION)).toMatchObject({
      problem: expect.stringContaining('m-1a2b3c4d5e-resolve has no pod yet'),
    })
    const early = await observed({ jobs: [job('2026-01-01T00:00:41Z')] })
    expect(early.resolves.get(REVISION)).toEqual({ state: 'Running' })
  })
})
