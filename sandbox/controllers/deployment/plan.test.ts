import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { exampleDeployment, examplePod, exampleReplicaSet, T0 } from '../examples.ts'
import type { Condition, Deployment, ReplicaSet } from '../objects.ts'
import { timestamp } from '../timestamps.ts'
import { planDeployment, type DeploymentPlan } from './plan.ts'
import { boundsOf, rescale } from './sizing.ts'
import { templateHash } from './revisions.ts'

/** A Deployment with its ReplicaSets, in a world where every pod that is asked for exists and becomes available after a while. */
class World {
  deployment: Deployment
  replicaSets: ReplicaSet[] = []
  nowMs = T0

  constructor(deployment: Deployment) {
    this.deployment = deployment
  }

  step(): DeploymentPlan {
    const plan = planDeployment({ deployment: this.deployment, replicaSets: this.replicaSets, pods: [] }, this.nowMs)
    if (plan.create !== undefined) {
      const { metadata, spec } = plan.create
      const name = metadata.name ?? ''
      const born = timestamp(this.nowMs)
      this.replicaSets.push({
        ...exampleReplicaSet(name, spec),
        metadata: { ...exampleReplicaSet(name).metadata, ...metadata, creationTimestamp: born },
      })
    }
    const updated = new Map(plan.update.map((one) => [one.metadata.name, one]))
    const removed = new Set(plan.remove.map((one) => one.metadata.name))
    this.replicaSets = this.replicaSets
      .map((one) => updated.get(one.metadata.name) ?? one)
      .filter((one) => !removed.has(one.metadata.name))
    this.deployment = { ...this.deployment, status: plan.status }
    return plan
  }

  /** The ReplicaSet controller: pods exist as asked, at most `available` of the new ones become so now. */
  runPods(available: number): void {
    let left = available
    this.replicaSets = this.replicaSets.map((one) => {
      const replicas = one.spec.replicas ?? 1
      const before = Math.min(one.status?.availableReplicas ?? 0, replicas)
      const more = Math.min(left, replicas - before)
      left -= more
      const count = before + more
      return {
        ...one,
        status: {
          replicas,
          readyReplicas: count,
          availableReplicas: count,
          observedGeneration: one.metadata.generation ?? 1,
        },
      }
    })
    this.nowMs += 1000
  }

  settle(): void {
    for (let round = 0; round < 100; round++) {
      this.step()
      this.runPods(1)
    }
  }

  update(spec: Partial<Deployment['spec']>): void {
    const metadata = { ...this.deployment.metadata, generation: (this.deployment.metadata.generation ?? 1) + 1 }
    this.deployment = { ...this.deployment, metadata, spec: { ...this.deployment.spec, ...spec } }
  }

  condition(type: string): Pick<Condition, 'status' | 'reason'> | undefined {
    const found = this.deployment.status?.conditions?.find((one) => one.type === type)
    return found === undefined
      ? undefined
      : { status: found.status, ...(found.reason === undefined ? {} : { reason: found.reason }) }
  }

  sizes(): number[] {
    return this.replicaSets.map((one) => one.spec.replicas ?? 1)
  }
}

function template(image: string): Deployment['spec']['template'] {
  return { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } }
}

describe('the bounds of a rolling update', () => {
  test.each([
    [10, '25%', '25%', 3, 2],
    [1, '25%', '25%', 1, 0],
    [4, 0, 0, 0, 1],
    [0, 1, 1, 1, 0],
    [3, '100%', 5, 3, 3],
  ])(
    '%p replicas, surge %p, unavailable %p: %p more and %p fewer',
    (...[replicas, maxSurge, maxUnavailable, surge, unavailable]) => {
      const bounds = boundsOf(
        exampleDeployment({
          replicas,
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
        }),
      )
      expect(bounds).toEqual({ replicas, maxSurge: surge, maxUnavailable: unavailable })
    },
  )
})

describe('a Deployment', () => {
  test('creates its first ReplicaSet at full size, named by the hash of the template', () => {
    const world = new World(exampleDeployment({ replicas: 3 }))
    const { create, revision } = world.step()
    const hash = templateHash(world.deployment.spec.template, 0)
    expect(create?.metadata.name).toBe(`web-${hash}`)
    expect(create?.spec.replicas).toBe(3)
    expect(create?.spec.selector.matchLabels).toEqual({ app: 'web', 'pod-template-hash': hash })
    expect(create?.spec.template.metadata?.labels).toEqual({ app: 'web', 'pod-template-hash': hash })
    expect(create?.metadata.annotations).toEqual({
      'deployment.kubernetes.io/revision': '1',
      'deployment.kubernetes.io/desired-replicas': '3',
      'deployment.kubernetes.io/max-replicas': '4',
    })
    expect(revision).toBe(1)
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetCreated' })
    expect(world.condition('Available')).toEqual({ status: 'False', reason: 'MinimumReplicasUnavailable' })
  })

  test('is complete when all is available, and then has nothing to do', () => {
    const world = new World(exampleDeployment({ replicas: 2 }))
    world.settle()
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
    expect(world.condition('Available')).toEqual({ status: 'True', reason: 'MinimumReplicasAvailable' })
    const { create, update, remove, status } = world.step()
    expect({ create, update, remove }).toEqual({ create: undefined, update: [], remove: [] })
    expect(status).toEqual(world.deployment.status)
  })

  test('of 0 replicas is complete at once', () => {
    const world = new World(exampleDeployment({ replicas: 0 }))
    world.settle()
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
    expect(world.deployment.status).toMatchObject({ observedGeneration: 1, terminatingReplicas: 0 })
    expect(world.deployment.status).not.toHaveProperty('replicas')
  })

  test('never has too many or too few pods while it rolls', () => {
    const share = fc.oneof(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 100 }).map((n) => `${n}%`),
    )
    const speeds = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 60, maxLength: 60 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        share,
        share,
        speeds,
        (replicas, maxSurge, maxUnavailable, available) => {
          const world = new World(
            exampleDeployment({
              replicas,
              strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
            }),
          )
          world.settle()
          world.update({ template: template('web:2') })
          const bounds = boundsOf(world.deployment)
          for (const count of available) {
            world.step()
            world.runPods(0)
            const total = world.sizes().reduce((sum, size) => sum + size, 0)
            const ready = world.replicaSets.reduce((sum, one) => sum + (one.status?.availableReplicas ?? 0), 0)
            expect(total).toBeLessThanOrEqual(replicas + bounds.maxSurge)
            expect(ready).toBeGreaterThanOrEqual(replicas - bounds.maxUnavailable)
            world.runPods(count)
          }
          world.settle()
          expect(world.sizes()).toEqual([0, replicas])
          expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
        },
      ),
      { numRuns: 60 },
    )
  })

  test('that goes back to an older template takes up its ReplicaSet again, as the newest revision', () => {
    const world = new World(exampleDeployment({ replicas: 1 }))
    world.settle()
    world.update({ template: template('web:2') })
    world.settle()
    world.update({ template: template('web:1') })
    world.settle()
    expect(world.sizes()).toEqual([1, 0])
    const annotations = world.replicaSets[0]?.metadata.annotations
    expect(annotations?.['deployment.kubernetes.io/revision']).toBe('3')
    expect(annotations?.['deployment.kubernetes.io/revision-history']).toBe('1')
  })

  test('keeps as many old ReplicaSets as the history limit says, the newest ones', () => {
    const world = new World(exampleDeployment({ replicas: 1, revisionHistoryLimit: 2 }))
    for (const image of ['web:1', 'web:2', 'web:3', 'web:4', 'web:5']) {
      world.update({ template: template(image) })
      world.settle()
    }
    const images = world.replicaSets.map((one) => one.spec.template.spec.containers[0]?.image)
    expect(images).toEqual(['web:3', 'web:4', 'web:5'])
  })

  test('that stands still beyond its deadline says so, and recovers when pods come after all', () => {
    const world = new World(exampleDeployment({ replicas: 1, progressDeadlineSeconds: 10 }))
    const { lookAgainAt } = world.step()
    expect(lookAgainAt).toBe(T0 + 11_000)
    world.runPods(0)
    world.step()
    world.nowMs += 12_000
    world.step()
    expect(world.condition('Progressing')).toEqual({ status: 'False', reason: 'ProgressDeadlineExceeded' })
    world.settle()
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
  })

  test('that completed stays so when a pod turns unready, but is no longer available', () => {
    const world = new World(exampleDeployment({ replicas: 1 }))
    world.settle()
    world.replicaSets = world.replicaSets.map((one) => ({ ...one, status: { replicas: 1, observedGeneration: 1 } }))
    world.nowMs += 700_000
    world.step()
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
    expect(world.condition('Available')).toEqual({ status: 'False', reason: 'MinimumReplicasUnavailable' })
  })

  test('that is paused scales but does not roll', () => {
    const world = new World(exampleDeployment({ replicas: 1 }))
    world.settle()
    world.update({ paused: true, replicas: 4, template: template('web:2') })
    world.settle()
    expect(world.sizes()).toEqual([4])
    expect(world.condition('Progressing')).toEqual({ status: 'Unknown', reason: 'DeploymentPaused' })
    world.update({ paused: false })
    world.settle()
    expect(world.sizes()).toEqual([0, 4])
    expect(world.condition('Progressing')).toEqual({ status: 'True', reason: 'NewReplicaSetAvailable' })
  })

  test('that is scaled in the middle of a rollout spreads the change in proportion', () => {
    const sized = (name: string, size: number, born: number): ReplicaSet =>
      exampleReplicaSet(
        name,
        { replicas: size },
        {
          creationTimestamp: timestamp(T0 + born),
          annotations: {
            'deployment.kubernetes.io/desired-replicas': '10',
            'deployment.kubernetes.io/max-replicas': '13',
          },
        },
      )
    const deployment = exampleDeployment({
      replicas: 15,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    })
    const sizes = rescale(deployment, sized('new', 5, 1000), [sized('old', 8, 0)])
    expect(Object.fromEntries(sizes)).toEqual({ old: 11, new: 7 })
  })

  test('with strategy Recreate waits until the old pods are gone', () => {
    const deployment = exampleDeployment({ replicas: 2, strategy: { type: 'Recreate' }, template: template('web:2') })
    const old = exampleReplicaSet('old', { replicas: 2 })
    const down = planDeployment({ deployment, replicaSets: [old], pods: [] }, T0)
    expect(down.create).toBeUndefined()
    expect(down.update.map((one) => one.spec.replicas)).toEqual([0])
    const empty = exampleReplicaSet('old', { replicas: 0 })
    const pod = examplePod('last', {
      deleting: true,
      owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'old', uid: 'uid-old' },
    })
    expect(planDeployment({ deployment, replicaSets: [empty], pods: [pod] }, T0).create).toBeUndefined()
    expect(planDeployment({ deployment, replicaSets: [empty], pods: [] }, T0).create?.spec.replicas).toBe(2)
  })

  test('shows what keeps its ReplicaSet from creating pods', () => {
    const world = new World(exampleDeployment())
    world.step()
    const failure: Condition = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' }
    world.replicaSets = world.replicaSets.map((one) => ({ ...one, status: { replicas: 0, conditions: [failure] } }))
    world.step()
    expect(world.condition('ReplicaFailure')).toEqual({ status: 'True', reason: 'FailedCreate' })
  })
})
