import { expect, test } from '@jest/globals'
import type { ModelDeployment } from './api/resource.ts'
import type { Announcement } from './core/announcements.ts'
import { conditionOf, settled } from './core/story.ts'
import { createReconciler, type Cluster } from './reconcile.ts'
import { NO_CHILDREN, SILENT_SCRAPER } from './testing.ts'

const KEY = { namespace: 'ns', name: 'm' }

/** A cluster that holds one ModelDeployment, and counts what is written to it. */
function clusterOf(resource: ModelDeployment) {
  const told: Announcement[] = []
  const held = { resource, statusWrites: 0, childrenWrites: 0, told }
  const cluster: Cluster = {
    modelDeployment: () => held.resource,
    freshModelDeployment: () => Promise.resolve(held.resource),
    childrenOf: () => NO_CHILDREN,
    commitStatus(old, status) {
      held.statusWrites += 1
      const resourceVersion = String(Number(old.metadata.resourceVersion) + 1)
      held.resource = { ...old, status, metadata: { ...old.metadata, resourceVersion } }
      return Promise.resolve({ result: 'Written', resource: held.resource })
    },
    makeChildren() {
      held.childrenWrites += 1
      return Promise.resolve([])
    },
    nudge: () => Promise.resolve([]),
    announce: (_owner, announcements) => void told.push(...announcements),
  }
  return { cluster, held }
}

test('an error of ours is in status once, with an Event, and touches nothing: neither what is remembered nor what runs', async () => {
  const world = settled('good')
  const before = world.resource.status
  world.setSpec({ ...world.resource.spec, model: { uri: 'https://models.example/better.onnx' } })
  const { cluster, held } = clusterOf(world.resource)
  const logged: unknown[] = []
  const reconciler = createReconciler({
    cluster,
    scraper: SILENT_SCRAPER,
    settings: {
      get defaultImage(): string {
        throw new TypeError("Cannot read properties of null (reading 'name')")
      },
    },
    now: () => world.now,
    log: (message, fields) => void logged.push({ message, ...fields }),
  })
  for (let look = 0; look < 3; look += 1) await expect(reconciler.reconcile(KEY)).rejects.toThrow("reading 'name'")
  world.resource = held.resource
  const said = expect.stringContaining("Cannot read properties of null (reading 'name')") as unknown
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InternalError', message: said })
  expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'False', reason: 'InternalError' })
  expect(held.resource.status).toMatchObject({ stable: before?.stable, history: before?.history, plan: before?.plan })
  expect(held).toMatchObject({ statusWrites: 1, childrenWrites: 0 })
  expect(held.told).toMatchObject([{ type: 'Warning', reason: 'InternalError', message: said }])
  expect(logged).toMatchObject([{ reason: 'InternalError', modelDeployment: 'm' }])
})
