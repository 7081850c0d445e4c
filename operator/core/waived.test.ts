import { describe, expect, test } from '@jest/globals'
import type { StepSpec } from '../api/resource.ts'
import { plan } from './plan.ts'
import { SETTINGS, conditionOf, named, rejectedBy, settle, settled, shifting, specOf, switched } from './story.ts'
import type { World } from './world.ts'

describe('a stable revision that nobody can bring back', () => {
  test('because its pods cannot be made does not keep its fix from users', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 10, hold: '1h' }] }))
    settle(world, { rounds: 10 })
    for (let round = 0; round < 40; round += 1) {
      for (const pod of world.pods.filter((each) => each.revision === named('good')))
        world.pods.splice(world.pods.indexOf(pod), 1)
      world.commit(plan(world.observe(), SETTINGS, world.now))
      world.now += 1000
    }
    settle(world)
    expect(world.serves).toBe(named('better'))
  })

  /** Nobody of `good` answers for so many seconds. */
  const withoutStable = (world: World, seconds: number) => {
    for (let round = 0; round < seconds; round += 1) {
      for (const pod of world.pods.filter((each) => each.revision === named('good'))) {
        if (pod.ready) pod.readyChangedAt = world.now
        pod.ready = false
      }
      world.commit(plan(world.observe(), SETTINGS, world.now))
      world.now += 1000
    }
    return world
  }
  const toward = (model: string, steps: readonly StepSpec[], requests = 400) => {
    const world = settled('good')
    world.setSpec(specOf(model, { steps: [...steps] }))
    return settle(world, { rounds: 12, requests })
  }

  test('lets its fix skip the steps, which history tells', () => {
    const world = settle(withoutStable(toward('better', [{ weight: 10, hold: '1h' }]), 25))
    expect(world.resource.status?.history?.[0]?.reason).toMatch(
      /is healthy at full size.*; steps were skipped, as no pod of stable answered$/,
    )
  })

  test('does not let a person be passed over who was to approve', () => {
    const world = toward('better', [{ weight: 10, hold: '2s', approve: true }])
    expect(world.resource.status?.held?.by).toBe('Approval')
    withoutStable(world, 25)
    expect(world.serves).toBe(named('good'))
    expect(world.resource.status?.held?.by).toBe('Approval')
    world.annotate({ id: 'a', verb: 'approve', revision: named('better') })
    withoutStable(world, 10)
    expect(world.serves).toBe(named('better'))
  })

  test('does not let a later approval be passed over either', () => {
    const world = toward('better', [
      { weight: 10, hold: '1h' },
      { weight: 50, approve: true },
    ])
    expect(withoutStable(world, 40).serves).toBe(named('good'))
  })

  test('before the first step: a person may promote, as no step can begin', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 10, approve: true }] }))
    withoutStable(world, 1)
    for (let round = 0; round < 20; round += 1) {
      withoutStable(world, 1)
      world.pass(0, 0)
    }
    withoutStable(world, 25)
    expect(world.serves).toBe(named('good'))
    expect(conditionOf(world, 'Ready')?.message).toMatch(/no pod of stable answers, so no step can begin/)
    world.annotate({ id: 'p', verb: 'promote', revision: named('better') })
    withoutStable(world, 10)
    expect(world.serves).toBe(named('better'))
  })

  test('does not let a pause end, whoever made it', () => {
    const world = toward('better', [{ weight: 10, hold: '1h' }])
    world.annotate({ id: 'p', verb: 'pause', revision: named('better') })
    expect(withoutStable(world, 40).serves).toBe(named('good'))
    expect(world.resource.status?.rollout?.phase).toBe('Shifting')
  })

  test('that is merely scaled to zero promotes nobody in the midst of the steps', () => {
    const world = toward('failing', [{ weight: 10, hold: '1h' }], 0)
    const { scaling: _two, ...rest } = world.resource.spec
    world.setSpec({ ...rest, scaling: { replicas: 0 } })
    settle(world, { rounds: 60 })
    expect(world.serves).toBe(named('good'))
    world.setSpec({ ...rest, scaling: { replicas: 2 } })
    settle(world)
    expect(world.serves).toBe(named('good'))
    expect(rejectedBy(world)).toEqual([named('failing')])
  })

  test('is not given up for a pod that is away for a moment', () => {
    const world = shifting()
    for (const pod of world.pods.filter((each) => each.revision === named('good')))
      world.pods.splice(world.pods.indexOf(pod), 1)
    settle(world, { rounds: 20 })
    expect(world.serves).toBe(named('good'))
  })
})

describe('history tells what let a version go on', () => {
  const lastReason = (world: World) => world.resource.status?.history?.[0]?.reason

  test('when a person promoted it', () => {
    const world = shifting()
    world.annotate({ id: 'ship-it', verb: 'promote', revision: named('better') })
    expect(lastReason(settle(world))).toMatch(/; action ship-it promoted it at step 1 of 1$/)
  })

  test('when an undo went back to it', () => {
    const world = switched()
    world.annotate({ id: 'u', verb: 'undo', revision: named('good') })
    expect(lastReason(settle(world))).toMatch(/; an undo went back to it$/)
  })

  test('when there were no steps', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [], gates: [] }))
    expect(lastReason(settle(world))).toMatch(/; there were no steps$/)
  })

  test('when spec lets it go on without enough data', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { onInsufficientData: 'Proceed' }))
    expect(lastReason(settle(world, { requests: 0 }))).toMatch(
      /; onInsufficientData: Proceed went on without enough data for errors$/,
    )
  })
})
