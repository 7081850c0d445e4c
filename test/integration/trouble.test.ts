import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { nameOf } from '../../operator/kube/resource.ts'
import { POD } from '../../operator/kube/resources.ts'
import type { Fault, RequestFacts } from '../../sandbox/apiserver/http/faults.ts'
import { conditionOf, createPlace, eventually, exampleModel, isReady, NAMESPACE, serves, type Place } from './place.ts'

jest.setTimeout(120_000)

let place: Place
let disturb: (request: RequestFacts) => Fault | undefined = () => undefined
beforeAll(async () => {
  place = await createPlace({ faults: (request) => disturb(request), configMapSyncSeconds: 3600 })
}, 60_000)
afterAll(async () => {
  disturb = () => undefined
  await place.close()
}, 60_000)

const spec = (version: 'v1' | 'v2', overrides: Partial<ModelDeploymentSpec> = {}): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: { steps: [{ weight: 50, hold: '1s' }] },
  ...overrides,
})

const ofOperator = (request: RequestFacts) => request.userAgent.startsWith('penstock-operator')

/** Park and Miller's generator: the same faults in every run. */
function seededChance(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

describe('the operator', () => {
  test.each<[string, Fault]>([
    ['answers 429', { status: 429, retryAfterSeconds: 1 }],
    ['answers 500', { status: 500 }],
    ['says that the history is gone', { status: 410 }],
    ['drops connections', 'drop'],
  ])(
    'brings a rollout to its end although one in three of its requests meets an API server that %s',
    async (what, fault) => {
      const name = `faulty-${what.length}x`
      await place.apply(name, spec('v1'))
      await place.until(name, 'v1 to serve', serves('v1'))
      let count = 0
      const chance = seededChance(what.length)
      // The lease is spared: losing it ends the process, which is another story.
      disturb = (request) => {
        if (!ofOperator(request) || request.resource.startsWith('leases') || chance() >= 1 / 3) return undefined
        count += 1
        return fault
      }
      await place.apply(name, spec('v2'))
      const status = await place.until(name, 'v2 to serve', serves('v2'), 90)
      disturb = () => undefined
      expect(count).toBeGreaterThan(5)
      expect(status.history?.map((entry) => entry.outcome)).toEqual(['Promoted', 'Promoted'])
      await place.remove(name)
    },
  )

  test('starts the clock of a step only when stable has taken up the plan, and nudges until it has', async () => {
    await place.apply('unheard', spec('v1'))
    await place.until('unheard', 'v1 to serve', serves('v1'))
    let refused = 0
    disturb = (request) => {
      const isNudge = ofOperator(request) && request.resource === 'pods' && request.verb === 'patch'
      if (isNudge) refused += 1
      return isNudge ? { status: 503 } : undefined
    }
    await place.apply('unheard', spec('v2'))
    await eventually('a few nudges', async () => (refused >= 3 ? true : undefined), 60)
    const waiting = (await place.read('unheard')).status
    expect(waiting?.rollout).toMatchObject({ phase: 'Shifting', step: 0 })
    expect(waiting?.rollout?.acknowledgedAt).toBeUndefined()
    const isStuck = (status: ModelDeploymentStatus) => conditionOf(status, 'Stalled')?.reason === 'PlanNotAcknowledged'
    const stuck = await place.until('unheard', 'the pod to be named', isStuck, 90)
    expect(conditionOf(stuck, 'Stalled')?.message).toContain(`pod ${stuck.stable?.revision ?? ''}-`)
    disturb = () => undefined
    await place.until('unheard', 'v2 to serve', serves('v2'), 90)
  })
})

test('no request fails while stable pods come and go', async () => {
  await place.apply('moving', spec('v1', { scaling: { replicas: 2 } }))
  await place.until('moving', 'both pods', (status) => status.stable?.readyReplicas === 2 && isReady(status))
  const traffic = await place.traffic('moving')
  const pods = async () =>
    (await place.client.list(POD, { namespace: NAMESPACE, labelSelector: 'penstock.dev/modeldeployment=moving' })).items
  for (const pod of (await pods()).slice(0, 2)) {
    await place.client.delete(POD, nameOf(pod))
    await eventually('its successor', async () => {
      const ready = (await pods()).filter(
        (each) =>
          each.metadata?.deletionTimestamp === undefined &&
          each.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      )
      return ready.length === 2 ? true : undefined
    })
  }
  await eventually('the old pods to be gone', async () => ((await pods()).length === 2 ? true : undefined), 60)
  const total = await traffic.stop()
  expect(total.failures).toEqual([])
  expect(total.sent).toBeGreaterThan(500)
})
