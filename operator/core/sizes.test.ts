import { describe, expect, test } from '@jest/globals'
import { conditionOf, named, newWorld, settle, specOf } from './story.ts'

describe('a size of zero', () => {
  test('is what somebody asked for: ready, with nothing left to wait for', () => {
    const world = newWorld({ ...specOf('good'), scaling: { replicas: 0 } })
    settle(world)
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True', reason: 'ScaledToZero' })
    expect(conditionOf(world, 'Reconciling')).toMatchObject({ status: 'False' })
    expect(conditionOf(world, 'Available')).toMatchObject({ status: 'False' })
  })

  test('ends when an autoscaler is asked for, which would not wake a Deployment itself', () => {
    const world = newWorld({ ...specOf('good'), scaling: { replicas: 0 } })
    settle(world)
    const { scaling: _zero, ...rest } = specOf('good')
    world.setSpec({ ...rest, autoscaling: { minReplicas: 2, maxReplicas: 4 } })
    settle(world)
    expect(world.replicasOf(named('good'))).toBe(2)
  })
})

describe('a size that spec no longer says', () => {
  const { scaling: _fixed, ...sizeless } = specOf('better', { steps: [{ weight: 10, hold: '1h' }] })

  test('stays as it is when autoscaling is taken away in a rollout', () => {
    const autoscaling = { minReplicas: 2, maxReplicas: 10 }
    const { scaling: _also, ...good } = specOf('good')
    const world = settle(newWorld({ ...good, autoscaling }))
    world.scale(named('good'), 8)
    world.setSpec({ ...sizeless, autoscaling })
    settle(world, { rounds: 12 })
    expect(world.replicasOf(named('better'))).toBe(8)
    world.setSpec(sizeless)
    settle(world, { rounds: 3 })
    expect([world.replicasOf(named('good')), world.replicasOf(named('better'))]).toEqual([8, 8])
    world.annotate({ id: 'p', verb: 'promote', revision: named('better') })
    settle(world)
    expect(world.serves).toBe(named('better'))
    expect(world.replicasOf(named('better'))).toBe(8)
  })

  test('is one pod for a first version', () => {
    const world = settle(newWorld(sizeless))
    expect(world.replicasOf(named('better'))).toBe(1)
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
  })
})
