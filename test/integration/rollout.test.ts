import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentStatus } from '../../operator/api/resource.ts'
import type { Resource } from '../../operator/kube/resource.ts'
import {
  CONFIG_MAP,
  CONTROLLER_REVISION,
  DEPLOYMENT,
  EVENT,
  HORIZONTAL_POD_AUTOSCALER,
  JOB,
  POD,
  POD_DISRUPTION_BUDGET,
  SERVICE,
} from '../../operator/kube/resources.ts'
import {
  conditionOf,
  createPlace,
  eventually,
  exampleModel,
  isReady,
  isStalled,
  NAMESPACE,
  type Place,
} from './place.ts'
import { owned, serving, slow, spec } from './versions.ts'

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(async () => {
  await place.close()
}, 60_000)

jest.setTimeout(120_000)

describe('a rollout', () => {
  test('promotes a good version under load, and no request fails', async () => {
    const first = await serving(place, 'good')
    const traffic = await place.traffic('good')
    await place.apply('good', spec('v2'))
    const second = await place.until(
      'good',
      'v2 to be promoted',
      (status) => status.stable?.version === 'v2' && isReady(status),
      90,
    )
    const total = await traffic.stop()
    expect(total.failures).toEqual([])
    expect(total.failed).toBe(0)
    expect(total.byRevision.get(second.stable?.revision ?? '')?.answered).toBeGreaterThan(0)
    expect(second.history?.map((entry) => entry.outcome)).toEqual(['Promoted', 'Promoted'])
    expect(second.history?.[0]?.evidence?.[0]).toMatchObject({ name: 'errors', verdict: 'Pass' })
    expect(second.retiring?.map((old) => old.revision)).toEqual([first.stable?.revision])
    const [stable] = (await owned(place, SERVICE, 'good')).filter((service) => service.metadata?.name === 'good')
    expect(stable?.spec?.selector).toEqual({ 'penstock.dev/revision': second.stable?.revision })
  })

  test('rolls a failing version back by the error gate, and users see no failure', async () => {
    const before = await serving(place, 'failing', spec('v2'))
    const traffic = await place.traffic('failing')
    await place.apply('failing', spec('v4'))
    const status = await place.until(
      'failing',
      'v4 to be rolled back',
      (seen) => seen.history?.[0]?.version === 'v4',
      90,
    )
    const total = await traffic.stop()
    expect(total.failures).toEqual([])
    expect(status.history?.[0]).toMatchObject({
      outcome: 'RolledBack',
      evidence: [{ name: 'errors', verdict: 'Fail' }],
    })
    expect(status.history?.[0]?.reason).toMatch(/candidate failed \d+ of \d+ requests/)
    expect(status.stable?.revision).toBe(before.stable?.revision)
    expect(total.byRevision.size).toBeGreaterThan(1)
    expect(conditionOf(status, 'Stalled')).toMatchObject({ status: 'True', reason: 'RevisionRejected' })
    const rejected = status.rejected?.[0]?.revision ?? ''
    await eventually('the candidate to be gone', async () =>
      (await owned(place, DEPLOYMENT, 'failing')).some((each) => each.metadata?.name === rejected) ? undefined : true,
    )

    await place.apply('failing', { ...spec('v4'), scaling: { replicas: 2 } })
    const again = await place.until('failing', 'the new spec to be seen', (seen) => seen.stable?.desiredReplicas === 2)
    expect(again.rollout).toEqual({ phase: 'Idle' })
    await place.act('failing', { id: '1', verb: 'retry', revision: rejected })
    await place.until(
      'failing',
      'the retry to begin',
      (seen) => seen.rollout?.phase === 'Preparing' && seen.lastHandledAction?.result === 'Done',
    )
  })

  test('never starts a file that is no model', async () => {
    await serving(place, 'broken')
    await place.apply('broken', spec('v3'))
    const status = await place.until('broken', 'v3 to be refused', isStalled, 30)
    expect(status.rejected?.[0]).toMatchObject({ version: 'v3', gate: 'Resolve' })
    expect(status.stable?.version).toBe('v1')
    expect((await owned(place, DEPLOYMENT, 'broken')).map((each) => each.metadata?.name)).toEqual([
      status.stable?.revision,
    ])
  })
})

/** The replaced revision loses its autoscaler and keeps its size: clients may still reach it. */
async function promoteAndKeepWarm(name: string, { stable, candidate }: ModelDeploymentStatus, size: number) {
  const [old, next] = [stable?.revision ?? '', candidate?.revision ?? '']
  await place.act(name, { id: '1', verb: 'promote', revision: next })
  await place.until(name, 'the promotion', (seen) => seen.stable?.revision === next && isReady(seen))
  await eventually("the replaced revision's autoscaler to be gone", async () => {
    const autoscalers = await owned(place, HORIZONTAL_POD_AUTOSCALER, name)
    return autoscalers.some((each) => each.metadata?.name === old) ? undefined : true
  })
  const warm = await place.client.get(DEPLOYMENT, { namespace: NAMESPACE, name: old })
  expect(warm.spec?.replicas).toBe(size)
}

describe('a ModelDeployment', () => {
  test('with autoscaling keeps stable from shrinking during a rollout and brings the candidate to its size', async () => {
    const { scaling: _fixed, ...base } = slow('v1')
    await serving(place, 'scaled', { ...base, autoscaling: { minReplicas: 2, maxReplicas: 3 } })
    await place.apply('scaled', {
      ...base,
      model: { uri: exampleModel('v2') },
      autoscaling: { minReplicas: 2, maxReplicas: 3 },
    })
    const status = await place.until('scaled', 'the first step', (seen) => seen.rollout?.phase === 'Shifting')
    const size = status.stable?.desiredReplicas ?? 0
    expect(size).toBeGreaterThanOrEqual(2)
    expect(status.candidate?.readyReplicas).toBeGreaterThanOrEqual(size)
    const hpas = await owned(place, HORIZONTAL_POD_AUTOSCALER, 'scaled')
    const of = (revision?: string) => hpas.find((hpa) => hpa.metadata?.name === revision)
    expect(of(status.stable?.revision)?.spec?.behavior?.scaleDown?.selectPolicy).toBe('Disabled')
    expect(of(status.candidate?.revision)?.spec?.minReplicas).toBe(size)

    await promoteAndKeepWarm('scaled', status, size)
  })

  test('that is deleted takes everything with it', async () => {
    await serving(place, 'gone')
    await place.remove('gone')
    for (const resource of [DEPLOYMENT, SERVICE, CONFIG_MAP, CONTROLLER_REVISION, JOB, POD_DISRUPTION_BUDGET, POD]) {
      await eventually(
        `every ${resource.kind} to be gone`,
        async () => ((await owned(place, resource as Resource, 'gone')).length === 0 ? true : undefined),
        60,
      )
    }
  })

  test('tells every transition as an Event', async () => {
    await serving(place, 'told')
    const reasons = await eventually('the events', async () => {
      const { items } = await place.client.list(EVENT, { namespace: NAMESPACE })
      const found = items.filter((event) => event.regarding?.name === 'told').map((event) => event.reason)
      return found.includes('Promoted') ? found : undefined
    })
    expect(reasons).toEqual(expect.arrayContaining(['RolloutStarted', 'Promoting', 'Promoted']))
  })
})
