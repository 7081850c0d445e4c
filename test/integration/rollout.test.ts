import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import {
  CONTROLLER_REVISION,
  DEPLOYMENT,
  EVENT,
  HORIZONTAL_POD_AUTOSCALER,
  JOB,
  POD,
  POD_DISRUPTION_BUDGET,
  SERVICE,
  CONFIG_MAP,
} from '../../operator/kube/resources.ts'
import { nameOf, type KubeObject, type Resource } from '../../operator/kube/resource.ts'
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

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(async () => {
  await place.close()
}, 60_000)

jest.setTimeout(120_000)

const spec = (
  version: 'v1' | 'v2' | 'v3' | 'v4',
  overrides: Partial<ModelDeploymentSpec> = {},
): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: {
    steps: [
      { weight: 20, hold: '2s' },
      { weight: 100, hold: '1s' },
    ],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.08 } }],
    minSamples: 50,
    progressDeadline: '60s',
    scaleDownDelay: '30s',
  },
  ...overrides,
})

const slow = (version: 'v1' | 'v2' | 'v3' | 'v4') => {
  const base = spec(version)
  return { ...base, rollout: { ...base.rollout, steps: [{ weight: 20, hold: '1h' }] } }
}

async function serving(name: string, wanted: ModelDeploymentSpec = spec('v1')) {
  await place.apply(name, wanted)
  return place.until(name, 'to serve its first version', isReady)
}

async function owned<T extends KubeObject>(resource: Resource<T>, name: string): Promise<readonly T[]> {
  const { items } = await place.client.list(resource, {
    namespace: NAMESPACE,
    labelSelector: `penstock.dev/modeldeployment=${name}`,
  })
  return items
}

describe('a rollout', () => {
  test('promotes a good version under load, and no request fails', async () => {
    const first = await serving('good')
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
    const [stable] = (await owned(SERVICE, 'good')).filter((service) => service.metadata?.name === 'good')
    expect(stable?.spec?.selector).toEqual({ 'penstock.dev/revision': second.stable?.revision })
  })

  test('rolls a failing version back by the error gate, and users see no failure', async () => {
    const before = await serving('failing', spec('v2'))
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
      (await owned(DEPLOYMENT, 'failing')).some((each) => each.metadata?.name === rejected) ? undefined : true,
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
    await serving('broken')
    await place.apply('broken', spec('v3'))
    const status = await place.until('broken', 'v3 to be refused', isStalled, 30)
    expect(status.rejected?.[0]).toMatchObject({ version: 'v3', gate: 'Resolve' })
    expect(status.stable?.version).toBe('v1')
    expect((await owned(DEPLOYMENT, 'broken')).map((each) => each.metadata?.name)).toEqual([status.stable?.revision])
  })

  test('takes up a third version in the middle: the second is superseded', async () => {
    await serving('superseded')
    await place.apply('superseded', slow('v2'))
    await place.until('superseded', 'the first step', (seen) => seen.rollout?.phase === 'Shifting')
    await place.apply('superseded', { ...slow('v2'), server: { drainSeconds: 9 }, rollout: { minSamples: 50 } })
    const status = await place.until(
      'superseded',
      'the newest to be promoted',
      (seen) => seen.history?.[0]?.outcome === 'Promoted' && (seen.history?.length ?? 0) >= 3,
    )
    expect(status.history?.map((entry) => entry.outcome)).toEqual(['Promoted', 'Superseded', 'Promoted'])
    expect(status.rejected).toBeUndefined()
  })

  test('is aborted by going back to the stable spec, and promoted by an action', async () => {
    const first = await serving('acted')
    await place.apply('acted', slow('v2'))
    await place.until('acted', 'the first step', (seen) => seen.rollout?.phase === 'Shifting')
    await place.apply('acted', slow('v1'))
    const aborted = await place.until('acted', 'the abort', (seen) => seen.history?.[0]?.outcome === 'Aborted')
    expect(aborted.stable?.revision).toBe(first.stable?.revision)
    await place.apply('acted', slow('v2'))
    const shifting = await place.until('acted', 'the first step again', (seen) => seen.rollout?.phase === 'Shifting')
    await place.act('acted', { id: 'a', verb: 'promote', revision: 'somebody-else' })
    await place.until('acted', 'the refusal', (seen) => seen.lastHandledAction?.result.startsWith('Refused') === true)
    await place.act('acted', { id: 'b', verb: 'promote', revision: shifting.candidate?.revision ?? '' })
    await place.until('acted', 'the promotion', (seen) => seen.stable?.version === 'v2')
  })

  test('goes on where it was when the operator restarts, and an operator with another default image restarts no pod', async () => {
    await serving('restarted')
    await place.apply('restarted', slow('v2'))
    const before = await place.until(
      'restarted',
      'the first step',
      (seen) => seen.rollout?.acknowledgedAt !== undefined,
    )
    const podsBefore = (await owned(POD, 'restarted')).map((pod) => pod.metadata?.uid).sort()
    await place.stopOperator()
    await place.startOperator({ serverImage: 'penstock/server:newer' })
    await place.act('restarted', { id: '1', verb: 'pause', revision: before.candidate?.revision ?? '' })
    const after = await place.until('restarted', 'the new operator to act', (seen) => seen.held?.by === 'Action')
    expect(after.rollout).toMatchObject({ phase: 'Shifting', step: 0, startedAt: before.rollout?.startedAt })
    expect(after.plan).toEqual(before.plan)
    expect((await owned(POD, 'restarted')).map((pod) => pod.metadata?.uid).sort()).toEqual(podsBefore)
    await place.stopOperator()
    await place.startOperator()
  })

  test('is not blocked by a broken stable', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-model-'))
    const file = join(dir, 'model.onnx')
    copyFileSync(fileURLToPath(exampleModel('v1')), file)
    await serving('hurt', { ...spec('v1'), model: { uri: pathToFileURL(file).href, version: 'v1' } })
    rmSync(dir, { recursive: true })
    for (const pod of await owned(POD, 'hurt')) {
      await place.client.delete(POD, nameOf(pod), { gracePeriodSeconds: 1 })
    }
    const isDown = (seen: ModelDeploymentStatus) => conditionOf(seen, 'Ready')?.reason === 'Unavailable'
    const broken = await place.until('hurt', 'to be unavailable', isDown)
    expect(conditionOf(broken, 'Available')).toMatchObject({ status: 'False' })
    await place.apply('hurt', slow('v2'))
    const isFixed = (seen: ModelDeploymentStatus) => seen.stable?.version === 'v2' && isReady(seen)
    const fixed = await place.until('hurt', 'the fix to be promoted without traffic steps', isFixed)
    expect(fixed.history?.[0]).toMatchObject({ outcome: 'Promoted', evidence: [] })
  })

  test('is undone by an action until spec asks for another revision, and says so meanwhile', async () => {
    const v2 = { ...spec('v2'), rollout: {} }
    const serves = (version: string) => (seen: ModelDeploymentStatus) =>
      seen.stable?.version === version && seen.rollout?.phase === 'Idle'
    const first = await serving('undone')
    await place.apply('undone', v2)
    await place.until('undone', 'v2 to serve', serves('v2'))
    await place.act('undone', { id: '1', verb: 'undo', revision: first.stable?.revision ?? '' })
    const undone = await place.until('undone', 'v1 to serve again', serves('v1'))
    expect(undone.override).toMatchObject({ revision: first.stable?.revision })
    expect(conditionOf(undone, 'Ready')).toMatchObject({ status: 'False', reason: 'Overridden' })
    await place.apply('undone', { ...v2, scaling: { replicas: 2 } })
    const scaled = await place.until('undone', 'two pods of v1', (seen) => seen.stable?.readyReplicas === 2)
    expect(scaled.stable?.version).toBe('v1')
    await place.apply('undone', { ...v2, server: { drainSeconds: 5 } })
    const redone = await place.until('undone', 'v2 to serve again', (seen) => serves('v2')(seen) && isReady(seen))
    expect(redone.override).toBeUndefined()
  })
})

/** The replaced revision loses its autoscaler and keeps its size: clients may still reach it. */
async function promoteAndKeepWarm(name: string, { stable, candidate }: ModelDeploymentStatus, size: number) {
  const [old, next] = [stable?.revision ?? '', candidate?.revision ?? '']
  await place.act(name, { id: '1', verb: 'promote', revision: next })
  await place.until(name, 'the promotion', (seen) => seen.stable?.revision === next && isReady(seen))
  await eventually("the replaced revision's autoscaler to be gone", async () => {
    const autoscalers = await owned(HORIZONTAL_POD_AUTOSCALER, name)
    return autoscalers.some((each) => each.metadata?.name === old) ? undefined : true
  })
  const warm = await place.client.get(DEPLOYMENT, { namespace: NAMESPACE, name: old })
  expect(warm.spec?.replicas).toBe(size)
}

describe('a ModelDeployment', () => {
  test('with autoscaling keeps stable from shrinking during a rollout and brings the candidate to its size', async () => {
    const { scaling: _fixed, ...base } = slow('v1')
    await serving('scaled', { ...base, autoscaling: { minReplicas: 2, maxReplicas: 3 } })
    await place.apply('scaled', {
      ...base,
      model: { uri: exampleModel('v2') },
      autoscaling: { minReplicas: 2, maxReplicas: 3 },
    })
    const status = await place.until('scaled', 'the first step', (seen) => seen.rollout?.phase === 'Shifting')
    const size = status.stable?.desiredReplicas ?? 0
    expect(size).toBeGreaterThanOrEqual(2)
    expect(status.candidate?.readyReplicas).toBeGreaterThanOrEqual(size)
    const hpas = await owned(HORIZONTAL_POD_AUTOSCALER, 'scaled')
    const of = (revision?: string) => hpas.find((hpa) => hpa.metadata?.name === revision)
    expect(of(status.stable?.revision)?.spec?.behavior?.scaleDown?.selectPolicy).toBe('Disabled')
    expect(of(status.candidate?.revision)?.spec?.minReplicas).toBe(size)

    await promoteAndKeepWarm('scaled', status, size)
  })

  test('that is deleted takes everything with it', async () => {
    await serving('gone')
    await place.remove('gone')
    for (const resource of [DEPLOYMENT, SERVICE, CONFIG_MAP, CONTROLLER_REVISION, JOB, POD_DISRUPTION_BUDGET, POD]) {
      await eventually(
        `every ${resource.kind} to be gone`,
        async () => ((await owned(resource as Resource, 'gone')).length === 0 ? true : undefined),
        60,
      )
    }
  })

  test('tells every transition as an Event', async () => {
    await serving('told')
    const reasons = await eventually('the events', async () => {
      const { items } = await place.client.list(EVENT, { namespace: NAMESPACE })
      const found = items.filter((event) => event.regarding?.name === 'told').map((event) => event.reason)
      return found.includes('Promoted') ? found : undefined
    })
    expect(reasons).toEqual(expect.arrayContaining(['RolloutStarted', 'Promoting', 'Promoted']))
  })
})
