import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { nameOf } from '../../operator/kube/resource.ts'
import { POD } from '../../operator/kube/resources.ts'
import type { Fault, RequestFacts } from '../../sandbox/apiserver/http/faults.ts'
import { conditionOf, createPlace, isOfOperator, eventually, isReady, NAMESPACE, serves, type Place } from './place.ts'
import { ungated } from './versions.ts'

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

test('starts the clock of a step only when stable has taken up the plan, and nudges until it has', async () => {
  await place.apply('unheard', ungated('v1'))
  await place.until('unheard', 'v1 to serve', serves('v1'))
  let refused = 0
  disturb = (request) => {
    const isNudge = isOfOperator(request) && request.resource === 'pods' && request.verb === 'patch'
    if (isNudge) refused += 1
    return isNudge ? { status: 503 } : undefined
  }
  await place.apply('unheard', ungated('v2'))
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

test('no request fails while stable pods come and go', async () => {
  await place.apply('moving', ungated('v1', { scaling: { replicas: 2 } }))
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
