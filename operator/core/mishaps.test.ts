import { describe, expect, test } from '@jest/globals'
import { plan } from './plan.ts'
import {
  SETTINGS,
  conditionOf,
  named,
  newWorld,
  rejectedBy,
  settle,
  settled,
  shifting,
  specOf,
  switched,
} from './story.ts'
import type { World } from './world.ts'

describe('a ControllerRevision that somebody deletes', () => {
  test("leaves stable's pods alone, and status says what is lost", () => {
    const world = settled('good')
    world.remove(`ControllerRevision/${named('good')}`)
    settle(world, { rounds: 60 })
    expect(world.replicasOf(named('good'))).toBe(2)
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'RecordMissing' })
    expect(conditionOf(world, 'Available')).toMatchObject({ status: 'True' })
    expect(world.resource.status?.stable?.sha256).toBe('a'.repeat(64))
    expect(world.unanswered).toBe(0)
  })

  test('does not keep stable from being scaled, nor the next version from coming', () => {
    const world = settled('good')
    world.remove(`ControllerRevision/${named('good')}`)
    world.setSpec({ ...specOf('good'), scaling: { replicas: 3 } })
    settle(world, { rounds: 10 })
    expect(world.replicasOf(named('good'))).toBe(3)
    world.setSpec(specOf('better'))
    settle(world)
    expect(world.serves).toBe(named('better'))
    expect(world.unanswered).toBe(0)
  })

  test("together with stable's Deployment is made anew, from the digests that status remembers", () => {
    const world = settled('good')
    world.remove(`ControllerRevision/${named('good')}`)
    world.remove(`Deployment/${named('good')}`)
    const { children } = plan(world.observe(), SETTINGS, world.now)
    expect(JSON.stringify(children)).toContain(`"--sha256=${'a'.repeat(64)}","--data-sha256=${'d'.repeat(64)}"`)
    settle(world)
    expect(world.replicasOf(named('good'))).toBe(2)
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
  })

  test('of the candidate takes its share away and starts it anew; nothing is held against it', () => {
    const world = shifting()
    world.remove(`ControllerRevision/${named('better')}`)
    settle(world, { rounds: 3 })
    expect(world.resource.status?.plan?.weight).toBe(0)
    settle(world, { rounds: 30 })
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Shifting' })
    expect(rejectedBy(world)).toEqual([])
    expect(world.unanswered).toBe(0)
  })
})

describe('a status that somebody takes away', () => {
  const loseStatus = (world: World) => {
    const { status: _lost, ...rest } = world.resource
    world.resource = rest
  }

  test('costs nobody an answer: the Service still tells who is stable', () => {
    const world = settled('good')
    loseStatus(world)
    settle(world)
    expect(world.resource.status?.stable?.revision).toBe(named('good'))
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
    expect(world.unanswered).toBe(0)
  })

  test('in a rollout puts nothing in front of users without its gates', () => {
    const world = settled('good')
    world.setSpec(specOf('failing'))
    settle(world, { rounds: 6 })
    loseStatus(world)
    settle(world)
    expect(world.serves).toBe(named('good'))
    expect(rejectedBy(world)).toEqual([named('failing')])
    expect(world.unanswered).toBe(0)
  })
})

describe('a plan that status forgot', () => {
  /** Status is taken away at half the traffic, and somebody goes back to stable's spec before the operator looks again. */
  function forgotten(): World {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 50, hold: '1h' }] }))
    settle(world, { rounds: 30 })
    expect(fileOf(world)).toMatchObject({ weightPermille: 500, peer: { revision: named('better') } })
    const { status: _lost, ...rest } = world.resource
    world.resource = rest
    world.setSpec(specOf('good'))
    return world
  }
  const fileOf = (world: World) => {
    const files = world.objects.get('ConfigMap/m-traffic')?.data as Record<string, string>
    return JSON.parse(files[`${named('good')}.json`] ?? '{}') as { id: number; weightPermille: number; peer?: object }
  }
  const relayService = `Service/${named('better')}`

  test('is called off by a higher id, so that nobody relays any more', () => {
    const world = forgotten()
    const before = fileOf(world).id
    settle(world)
    expect(fileOf(world)).toMatchObject({ weightPermille: 0 })
    expect(fileOf(world).peer).toBeUndefined()
    expect(fileOf(world).id).toBeGreaterThan(before)
    expect(world.pods.map((pod) => pod.planId)).toEqual([fileOf(world).id, fileOf(world).id])
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
    expect(world.unanswered).toBe(0)
  })

  test('leaves its address to nobody else while a pod may still relay to it', () => {
    const world = forgotten()
    world.plansArrive = false
    settle(world, { rounds: 60 })
    expect([...world.objects.keys()]).toContain(relayService)
    world.podsAnswer = false
    settle(world, { rounds: 60 })
    expect([...world.objects.keys()]).toContain(relayService)
    world.plansArrive = true
    world.podsAnswer = true
    settle(world)
    expect([...world.objects.keys()]).not.toContain(relayService)
  })

  test('is called off also when the ConfigMap was lost with it: the pods say how far they are', () => {
    const world = forgotten()
    const [{ planId } = { planId: 0 }] = world.pods
    world.remove('ConfigMap/m-traffic')
    settle(world)
    expect(fileOf(world).id).toBeGreaterThan(planId)
    expect(world.pods.map((pod) => pod.planId)).toEqual([fileOf(world).id, fileOf(world).id])
  })

  test('is told above what pods follow, when status was set back by a restore', () => {
    const world = shifting()
    const { plan: told, ...earlier } = world.resource.status ?? {}
    world.resource = { ...world.resource, status: { ...earlier, plan: { ...told, id: 1 } } }
    for (const pod of world.pods) pod.planId = 7
    settle(world, { rounds: 4 })
    expect(fileOf(world)).toMatchObject({ id: 8, weightPermille: 100 })
    expect(world.resource.status?.rollout?.acknowledgedAt).toBeDefined()
  })
})

test('however often rollouts are aborted, status stays within its limits', () => {
  const world = settled('good')
  for (let each = 0; each < 20; each += 1) {
    const spec = { ...specOf('better'), server: { drainSeconds: each } }
    world.setSpec(spec)
    settle(world, { rounds: 4 })
    world.annotate({ id: String(each), verb: 'abort', revision: world.resource.status?.candidate?.revision ?? '' })
    settle(world, { rounds: 10 })
  }
  expect(rejectedBy(world)).toHaveLength(16)
  expect(world.resource.status?.handledActions).toHaveLength(16)
  expect(world.resource.status?.history?.map((entry) => entry.outcome)).toEqual([
    ...Array.from({ length: 5 }, () => 'Aborted'),
    'Promoted',
  ])
})

test('an action that comes back is not done again', () => {
  const world = shifting()
  world.annotate({ id: '1', verb: 'pause', revision: named('better') })
  settle(world, { rounds: 2 })
  world.annotate({ id: '2', verb: 'resume', revision: named('better') })
  settle(world, { rounds: 2 })
  world.annotate({ id: '1', verb: 'pause', revision: named('better') })
  settle(world, { rounds: 2 })
  expect(world.resource.status?.held).toBeUndefined()
})

test('a gate failure that pauses is told to the pods until they know', () => {
  const world = settled('good')
  world.setSpec(specOf('failing', { onFailure: 'Pause' }))
  for (let round = 0; world.resource.status?.held === undefined && round < 100; round += 1) settle(world, { rounds: 1 })
  world.plansArrive = false
  for (const pod of world.pods) pod.planId = 1
  world.now += 5000
  expect(plan(world.observe(), SETTINGS, world.now).nudges).not.toEqual([])
  world.plansArrive = true
  settle(world)
  expect(world.resource.status?.rollout?.acknowledgedAt).toBeDefined()
  expect(plan(world.observe(), SETTINGS, world.now).nudges).toEqual([])
})

describe('an undo', () => {
  const undo = (world: World, model: string, id = 'u') => {
    world.annotate({ id, verb: 'undo', revision: named(model) })
    return settle(world)
  }

  test('never promotes the candidate without its gates', () => {
    const world = undo(shifting(), 'better')
    expect(world.resource.status?.lastHandledAction?.result).toMatch(/^Refused: .* is the candidate; use promote/)
    expect(world.serves).toBe(named('good'))
  })

  test('goes back only to what has served', () => {
    const world = settled('good')
    world.setSpec(specOf('failing'))
    settle(world)
    undo(world, 'failing')
    expect(world.resource.status?.lastHandledAction?.result).toMatch(/^Refused: .* has never served/)
    expect(rejectedBy(world)).toEqual([named('failing')])
  })

  test('finds its target after any number of failed rollouts', () => {
    const world = switched()
    for (const drainSeconds of [1, 2, 3, 4, 5, 6, 7]) {
      world.setSpec({ ...specOf('missing'), server: { drainSeconds } })
      settle(world, { rounds: 30 })
    }
    settle(world, { rounds: 400 })
    undo(world, 'good')
    expect(world.serves).toBe(named('good'))
    expect(world.unanswered).toBe(0)
  })

  const unsupported = { ...specOf('better'), monitoring: {} }

  test('is done although spec is invalid, and status says first how to leave it', () => {
    const world = switched()
    world.setSpec(unsupported)
    settle(world, { rounds: 3 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
    undo(world, 'good')
    expect(world.resource.status?.lastHandledAction?.result).toBe('Done')
    expect(world.serves).toBe(named('good'))
    const { reason, message } = conditionOf(world, 'Stalled') ?? {}
    expect(reason).toBe('Overridden')
    expect(message).toMatch(/or retry m-\w+; besides, spec\.monitoring is not supported/)
    world.annotate({ id: 'r', verb: 'retry', revision: named('better') })
    settle(world, { rounds: 3 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
    expect(world.unanswered).toBe(0)
  })

  test('that is under way goes on when spec becomes invalid', () => {
    const world = switched()
    world.annotate({ id: 'u', verb: 'undo', revision: named('good') })
    settle(world, { rounds: 1 })
    world.setSpec(unsupported)
    settle(world, { rounds: 1 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'False' })
    settle(world, { rounds: 40 })
    expect(world.serves).toBe(named('good'))
    expect(world.resource.status?.history?.[0]).toMatchObject({ revision: named('good'), outcome: 'Promoted' })
  })

  test('to a warm revision that is called off leaves it warm', () => {
    const world = switched()
    world.annotate({ id: 'u', verb: 'undo', revision: named('good') })
    settle(world, { rounds: 1 })
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Preparing' })
    world.annotate({ id: 'r', verb: 'retry', revision: named('better') })
    settle(world, { rounds: 3 })
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Idle' })
    expect(world.resource.status?.retiring).toMatchObject([{ revision: named('good') }])
    expect(world.replicasOf(named('good'))).toBe(2)
  })
})

describe('a replaced revision', () => {
  test('is not removed while a pod of it cannot be asked', () => {
    const world = switched()
    world.podsAnswer = false
    settle(world, { rounds: 400 })
    expect(world.replicasOf(named('good'))).toBe(2)
    settle(world, { rounds: 600 })
    expect(world.replicasOf(named('good'))).toBeUndefined()
  })

  test('that is still reached costs no status write but one every five seconds at its end', () => {
    const world = switched()
    let writes = 0
    for (let second = 0; second < 400; second += 1) {
      for (const pod of world.pods.filter((each) => each.revision === named('good'))) pod.directRequests += 1
      const before = JSON.stringify(world.resource.status)
      world.commit(plan(world.observe(), SETTINGS, world.now))
      if (JSON.stringify(world.resource.status) !== before) writes += 1
      world.pass(1000, 10)
    }
    expect(world.replicasOf(named('good'))).toBe(2)
    expect(writes).toBeLessThan(40)
  })

  test('gives up its warmth to nobody: stable keeps its capacity while clients are relayed to it', () => {
    const autoscaled = (model: string) => {
      const { scaling: _fixed, ...rest } = specOf(model)
      return { ...rest, autoscaling: { minReplicas: 1, maxReplicas: 10 } }
    }
    const world = newWorld(autoscaled('good'))
    settle(world)
    world.scale(named('good'), 6)
    world.setSpec(autoscaled('better'))
    for (let round = 0; world.serves !== named('better') && round < 200; round += 1) settle(world, { rounds: 1 })
    const autoscaler = () =>
      world.objects.get(`HorizontalPodAutoscaler/${named('better')}`)?.spec as { behavior?: unknown }
    expect(autoscaler().behavior).toEqual({ scaleDown: { selectPolicy: 'Disabled' } })
    settle(world, { rounds: 500 })
    expect(autoscaler().behavior).toBeUndefined()
  })

  test('goes also while spec is invalid', () => {
    const world = switched()
    world.setSpec(specOf('better', { steps: [{ shadow: 50, hold: '1s' }] }))
    settle(world, { rounds: 400 })
    expect(world.replicasOf(named('good'))).toBeUndefined()
  })
})

describe('the address of a Service', () => {
  const addressIn = (world: World) => {
    const files = world.objects.get('ConfigMap/m-traffic')?.data as Record<string, string>
    return JSON.parse(files[`${named('good')}.json`] ?? '{}') as { id: number; peer?: { address: string } }
  }

  test('that changes under a plan makes a new plan, whose evidence starts anew', () => {
    const world = shifting()
    const before = addressIn(world)
    world.clusterIPs.set(named('better'), '10.9.9.9')
    settle(world, { rounds: 1 })
    expect(addressIn(world)).toMatchObject({ id: before.id + 1, peer: { address: '10.9.9.9:8080' } })
    expect(world.resource.status?.rollout?.acknowledgedAt).toBeUndefined()
    settle(world, { rounds: 3 })
    expect(world.resource.status?.rollout?.acknowledgedAt).toBeDefined()
  })

  test('is given to nobody else while a pod may still relay to it', () => {
    const world = shifting()
    world.plansArrive = false
    world.setSpec(specOf('good'))
    settle(world, { rounds: 60 })
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Idle' })
    expect([...world.objects.keys()]).toContain(`Service/${named('better')}`)
    expect(world.replicasOf(named('better'))).toBeUndefined()
    world.plansArrive = true
    settle(world)
    expect([...world.objects.keys()]).not.toContain(`Service/${named('better')}`)
    expect(world.resource.status?.plan?.peers).toBeUndefined()
  })
})

describe('an object that the API server does not take', () => {
  const said = '.spec.template.spec.nodeSelectr: field not declared in schema'
  const refusing = (world: World, object: string, kind: 'Invalid' | 'Refused' | 'Passing') => {
    world.refuses = (asked) => (asked === object ? { object, message: said, kind } : undefined)
    return world
  }

  test.each(['Deployment %', 'Job %-resolve'])(
    'as its pods cannot be (%s) rejects a first revision at once',
    (which) => {
      const object = which.replace('%', named('good'))
      const world = refusing(newWorld(specOf('good')), object, 'Invalid')
      settle(world, { rounds: 10 })
      expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'RevisionRejected' })
      const message = conditionOf(world, 'Ready')?.message
      expect(message).toContain(`(InvalidTemplate): ${object}: ${said}; change spec, or`)
      expect(message).toContain(`retry on ${named('good')}`)
    },
  )

  test('as its pods cannot be ends a rollout at once, stable serves, and a retry is a new try', () => {
    const world = refusing(settled('good'), `Deployment ${named('better')}`, 'Invalid')
    world.setSpec(specOf('better'))
    settle(world, { rounds: 10 })
    expect(world.resource.status?.rejected).toMatchObject([{ gate: 'InvalidTemplate' }])
    expect(conditionOf(world, 'Available')).toMatchObject({ status: 'True' })
    expect(world.unanswered).toBe(0)
    world.refuses = () => undefined
    world.annotate({ id: '1', verb: 'retry', revision: named('better') })
    settle(world)
    expect(world.serves).toBe(named('better'))
  })

  test('as a quota forbids it is stalled with these words, and goes on once that is lifted', () => {
    const object = `Deployment ${named('good')}`
    const world = refusing(newWorld(specOf('good')), object, 'Refused')
    settle(world, { rounds: 10 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ reason: 'ApplyFailed', message: `${object}: ${said}` })
    world.refuses = () => undefined
    settle(world)
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
  })

  test('for now is named while it is tried again, and when the deadline passes', () => {
    const object = `Deployment ${named('better')}`
    const world = refusing(settled('good'), object, 'Passing')
    world.setSpec(specOf('better', { progressDeadline: '30s' }))
    settle(world, { rounds: 10 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'False' })
    expect(conditionOf(world, 'Ready')?.message).toContain(`${object}: ${said}; it will be tried again`)
    settle(world, { rounds: 40 })
    expect(world.resource.status?.rejected).toMatchObject([
      { gate: 'DeadlinePassed', message: `no progress within the progress deadline: ${object}: ${said}` },
    ])
  })
})
