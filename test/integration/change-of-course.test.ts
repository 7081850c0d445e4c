import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { nameOf } from '../../operator/kube/resource.ts'
import { POD } from '../../operator/kube/resources.ts'
import { conditionOf, createPlace, exampleModel, isReady, type Place } from './place.ts'
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
  test('takes up a third version in the middle: the second is superseded', async () => {
    await serving(place, 'superseded')
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
    const first = await serving(place, 'acted')
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
    await serving(place, 'restarted')
    await place.apply('restarted', slow('v2'))
    const before = await place.until(
      'restarted',
      'the first step',
      (seen) => seen.rollout?.acknowledgedAt !== undefined,
    )
    const podsBefore = (await owned(place, POD, 'restarted')).map((pod) => pod.metadata?.uid).sort()
    await place.stopOperator()
    await place.startOperator({ serverImage: 'penstock/server:newer' })
    await place.act('restarted', { id: '1', verb: 'pause', revision: before.candidate?.revision ?? '' })
    const after = await place.until('restarted', 'the new operator to act', (seen) => seen.held?.by === 'Action')
    expect(after.rollout).toMatchObject({ phase: 'Shifting', step: 0, startedAt: before.rollout?.startedAt })
    expect(after.plan).toEqual(before.plan)
    expect((await owned(place, POD, 'restarted')).map((pod) => pod.metadata?.uid).sort()).toEqual(podsBefore)
    await place.stopOperator()
    await place.startOperator()
  })

  test('is not blocked by a broken stable', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-model-'))
    const file = join(dir, 'model.onnx')
    copyFileSync(fileURLToPath(exampleModel('v1')), file)
    await serving(place, 'hurt', { ...spec('v1'), model: { uri: pathToFileURL(file).href, version: 'v1' } })
    rmSync(dir, { recursive: true })
    for (const pod of await owned(place, POD, 'hurt')) {
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
    const first = await serving(place, 'undone')
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
