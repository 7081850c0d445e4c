/** Operators that wait for each other, and die. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'
import { isNotFound } from '../../operator/kube/errors.ts'
import { readAs, EVENT, LEASE } from '../../operator/kube/resources.ts'
import type { KubeObject } from '../../operator/kube/resource.ts'
import { startOperatorProcess } from '../../sandbox/operator-process.ts'
import { createPlace, isOfOperator, eventually, exampleModel, NAMESPACE, serves, type Place } from './place.ts'

jest.setTimeout(240_000)

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(() => place.close(), 60_000)

const spec = (version: 'v1' | 'v2', hold = '1s'): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: {
    steps: [{ weight: 50, hold }],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.05 } }],
    minSamples: 50,
  },
})

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly acquireTime?: string
    readonly renewTime?: string
  }
}

async function lease() {
  const name = { namespace: place.operatorNamespace, name: 'penstock-operator' }
  try {
    return (await place.client.get(readAs<Lease>(LEASE), name)).spec ?? {}
  } catch (error) {
    if (isNotFound(error)) return {}
    throw error
  }
}

/** Waits until somebody has it, and somebody else than before. */
const leaseAfter = (former?: string) =>
  eventually('the lease to be taken', async () => {
    const seen = await lease()
    return seen.holderIdentity && seen.holderIdentity !== former ? seen : undefined
  })

test('an operator hands over to a second one that waited for the lease', async () => {
  const { holderIdentity: first } = await leaseAfter()
  const second = await place.anotherOperator()
  try {
    await place.apply('handed', spec('v1'))
    await place.until('handed', 'v1 to serve', serves('v1'))
    expect((await lease()).holderIdentity).toBe(first)
    await place.stopOperator()
    await leaseAfter(first)
    await place.apply('handed', { ...spec('v2'), rollout: {} })
    await place.until('handed', 'v2 to serve', serves('v2'))
  } finally {
    await second.stop()
    await place.startOperator()
  }
})

test('an operator makes its lease where there is none', async () => {
  await place.stopOperator()
  await place.client.delete(LEASE, { namespace: place.operatorNamespace, name: 'penstock-operator' })
  await place.startOperator()
  await leaseAfter()
})

test('an operator that is killed is followed, once its lease has run out, by one that waited and does nothing twice', async () => {
  await place.stopOperator()
  const dir = mkdtempSync(join(tmpdir(), 'penstock-operators-'))
  const start = (name: string) =>
    startOperatorProcess({
      kubeconfigPath: place.operatorKubeconfigPath,
      leaseNamespace: place.operatorNamespace,
      logPath: join(dir, `${name}.log`),
    })
  await using operators = new AsyncDisposableStack()
  operators.defer(async () => {
    await place.startOperator()
    rmSync(dir, { recursive: true, force: true })
  })
  const { holderIdentity: nobody } = await lease()
  const leader = await start('leader')
  operators.defer(() => leader.stop())
  const { holderIdentity: first } = await leaseAfter(nobody)
  const follower = await start('follower')
  operators.defer(() => follower.stop())
  await place.apply('orphaned', spec('v1'))
  await place.until('orphaned', 'v1 to serve', serves('v1'))
  const traffic = await place.traffic('orphaned')
  await place.apply('orphaned', spec('v2', '5s'))
  const before = await place.until(
    'orphaned',
    'v2 to have a share',
    ({ rollout }) => rollout?.acknowledgedAt !== undefined,
  )
  process.kill(leader.pid, 'SIGKILL')
  const left = await lease()
  expect(left.holderIdentity).toBe(first)

  const taken = await leaseAfter(first)
  const heldMs = Date.parse(taken.acquireTime ?? '') - Date.parse(left.renewTime ?? '')
  expect(heldMs).toBeGreaterThanOrEqual((left.leaseDurationSeconds ?? Infinity) * 1000)
  const after = await place.until('orphaned', 'v2 to serve', serves('v2'), 90)
  const total = await traffic.stop()
  expect(total.failures).toEqual([])
  expect(after.history?.map(({ revision, outcome }) => [revision, outcome])).toEqual([
    [before.candidate?.revision, 'Promoted'],
    [before.stable?.revision, 'Promoted'],
  ])
  const ofOperators = place.writes.filter((write) => write.name.startsWith('orphaned') && isOfOperator(write))
  const created = ofOperators.filter(({ verb }) => verb === 'create').map(({ resource, name }) => `${resource} ${name}`)
  expect(created).toEqual([...new Set(created)])
  const told = await eventually('the promotion to be told', async () => {
    const { items } = await place.client.list(EVENT, { namespace: NAMESPACE })
    const events = items.filter(({ regarding, reason }) => regarding?.name === 'orphaned' && reason === 'Promoted')
    return events.length >= 2 ? events : undefined
  })
  expect(told).toHaveLength(2)
})
