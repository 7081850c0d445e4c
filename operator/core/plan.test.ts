import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { plan } from './plan.ts'
import { SETTINGS, conditionOf, named, newWorld, settle, settled, specOf } from './story.ts'
import type { World } from './world.ts'

describe('the first version', () => {
  test('serves once every pod is ready, and not before', () => {
    const world = settled('good')
    expect(world.serves).toBe(named('good'))
    expect(world.resource.status).toMatchObject({
      observedGeneration: 1,
      stable: { revision: named('good'), version: 'good', readyReplicas: 2 },
      rollout: { phase: 'Idle' },
      history: [{ outcome: 'Promoted' }],
    })
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True', reason: 'Serving' })
    expect(conditionOf(world, 'Reconciling')).toMatchObject({ status: 'False' })
  })

  test('is reconciling at first sight', () => {
    const world = newWorld(specOf('good'))
    world.commit(plan(world.observe(), SETTINGS, world.now))
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'False' })
    expect(conditionOf(world, 'Reconciling')).toMatchObject({ status: 'True', reason: 'Preparing' })
  })

  test('that cannot be found is rejected, with the reason, and nothing is started for it', () => {
    const world = settled('missing')
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'RevisionRejected' })
    expect(conditionOf(world, 'Stalled')?.message).toContain('no such file; check spec.model.uri')
    expect(world.pods).toEqual([])
  })

  test('whose source is unreachable is tried again, and status says so meanwhile', () => {
    const world = settle(newWorld(specOf('unreachable')), { rounds: 40 })
    expect(conditionOf(world, 'Reconciling')).toMatchObject({ status: 'True', reason: 'Preparing' })
    expect(conditionOf(world, 'Ready')?.message).toContain('Unreachable: connection refused; it will be tried again')
  })
})

describe('the next version', () => {
  test('is shifted step by step and promoted, with the evidence in history', () => {
    const world = settled('good')
    world.setSpec(specOf('better'))
    const weights = new Set<number>()
    for (let round = 0; round < 100; round += 1) {
      settle(world, { rounds: 1 })
      weights.add(world.resource.status?.plan?.weight ?? 0)
    }
    expect([...weights].sort((a, b) => a - b)).toEqual([0, 100, 500])
    expect(world.serves).toBe(named('better'))
    expect(world.resource.status?.history?.[0]).toMatchObject({
      outcome: 'Promoted',
      evidence: [{ name: 'errors', verdict: 'Pass' }],
    })
    expect(world.unanswered).toBe(0)
  })

  test('that fails requests is rolled back with the numbers, and users are answered all the time', () => {
    const world = settled('good')
    world.setSpec(specOf('failing'))
    settle(world)
    expect(world.serves).toBe(named('good'))
    expect(world.resource.status?.rejected?.[0]).toMatchObject({ revision: named('failing'), gate: 'errors' })
    expect(world.resource.status?.history?.[0]).toMatchObject({
      outcome: 'RolledBack',
      evidence: [{ verdict: 'Fail' }],
    })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'RevisionRejected' })
    expect(conditionOf(world, 'Available')).toMatchObject({ status: 'True' })
    expect(world.pods.every((pod) => pod.revision === named('good'))).toBe(true)
    expect(world.unanswered).toBe(0)
  })

  test.each([
    ['a pod that restarts', 'crashing', /restarted/],
    ['a model that cannot be found', 'missing', /NotFound/],
  ])('is rolled back for %s', (_name, model, reason) => {
    const world = settled('good')
    world.setSpec(specOf(model))
    settle(world)
    expect(world.serves).toBe(named('good'))
    expect(world.resource.status?.history?.[0]).toMatchObject({
      outcome: 'RolledBack',
      reason: expect.stringMatching(reason) as unknown,
    })
  })

  test('that never becomes ready is given up at the progress deadline, with the obstacle', () => {
    const world = settled('good')
    world.setSpec(specOf('unready', { progressDeadline: '60s' }))
    settle(world, { rounds: 100 })
    expect(world.resource.status?.history?.[0]).toMatchObject({
      outcome: 'RolledBack',
      reason: expect.stringMatching(/progress deadline: 0 of 2 pods are ready/) as unknown,
    })
  })

  test('without traffic neither passes nor fails: it waits, and says for what', () => {
    const world = settled('good')
    world.setSpec(specOf('better'))
    settle(world, { requests: 0, rounds: 100 })
    expect(world.resource.status?.rollout).toMatchObject({
      phase: 'Shifting',
      step: 0,
      gates: [{ verdict: 'Inconclusive' }],
    })
    expect(conditionOf(world, 'Ready')?.message).toContain('waiting for data for errors')
  })

  test('without traffic goes on under Proceed, and is rolled back under Fail', () => {
    for (const [onInsufficientData, outcome] of [
      ['Proceed', 'Promoted'],
      ['Fail', 'RolledBack'],
    ] as const) {
      const world = settled('good')
      world.setSpec(specOf('better', { onInsufficientData }))
      settle(world, { requests: 0, rounds: 100 })
      expect(world.resource.status?.history?.[0]).toMatchObject({ revision: named('better'), outcome })
    }
  })
})

describe('a person', () => {
  const shifting = () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 10, hold: '1h' }] }))
    return settle(world, { rounds: 30 })
  }

  test('changes spec again: the candidate is superseded and the newest one wins', () => {
    const world = shifting()
    world.setSpec({ ...specOf('good'), server: { drainSeconds: 7 } })
    settle(world)
    expect(world.resource.status?.history?.map((entry) => entry.outcome)).toEqual([
      'Promoted',
      'Superseded',
      'Promoted',
    ])
    expect(world.unanswered).toBe(0)
  })

  test('goes back to the stable spec: that is an abort, and nothing is held against the candidate', () => {
    const world = shifting()
    world.setSpec(specOf('good'))
    settle(world)
    expect(world.resource.status?.history?.[0]).toMatchObject({ outcome: 'Aborted' })
    expect(world.resource.status?.rejected).toBeUndefined()
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
  })

  test('promotes: the steps that are left are skipped, once', () => {
    const world = shifting()
    world.annotate({ id: '1', verb: 'promote', revision: named('better') })
    settle(world)
    expect(world.serves).toBe(named('better'))
    expect(world.resource.status?.lastHandledAction).toMatchObject({ id: '1', result: 'Done' })
  })

  test('names another revision: the action is refused', () => {
    const world = shifting()
    world.annotate({ id: '1', verb: 'promote', revision: named('good') })
    settle(world, { rounds: 5 })
    expect(world.resource.status?.lastHandledAction?.result).toBe(
      `Refused: the candidate is ${named('better')}, not ${named('good')}`,
    )
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Shifting' })
  })

  test('aborts and retries', () => {
    const world = shifting()
    world.annotate({ id: '1', verb: 'abort', revision: named('better') })
    settle(world, { rounds: 60 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ reason: 'RevisionRejected' })
    world.annotate({ id: '2', verb: 'retry', revision: named('better') })
    settle(world, { rounds: 20 })
    expect(world.resource.status?.rollout).toMatchObject({ phase: 'Shifting' })
  })

  test('pauses and resumes', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { paused: true }))
    settle(world, { rounds: 60 })
    expect(world.resource.status).toMatchObject({ held: { by: 'Spec' }, stable: { revision: named('good') } })
    world.setSpec(specOf('better', { paused: false }))
    settle(world)
    expect(world.serves).toBe(named('better'))
  })

  test('approves', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 50, approve: true }] }))
    settle(world, { rounds: 60 })
    expect(world.resource.status?.held).toMatchObject({ by: 'Approval' })
    world.annotate({ id: '1', verb: 'approve', revision: named('better') })
    settle(world)
    expect(world.serves).toBe(named('better'))
  })

  test('undoes: the old revision serves again until spec changes', () => {
    const world = settled('good')
    world.setSpec(specOf('better'))
    settle(world)
    world.annotate({ id: '1', verb: 'undo', revision: named('good') })
    settle(world)
    expect(world.serves).toBe(named('good'))
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'False', reason: 'Overridden' })
    world.setSpec({ ...specOf('better'), scaling: { replicas: 3 } })
    settle(world)
    expect(world.serves).toBe(named('good'))
    world.annotate({ id: '2', verb: 'retry', revision: named('better') })
    settle(world)
    expect(world.serves).toBe(named('better'))
    expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
    expect(world.unanswered).toBe(0)
  })

  test('asks for a gate failure to pause: weight goes to zero and a person decides', () => {
    const world = settled('good')
    world.setSpec(specOf('failing', { onFailure: 'Pause' }))
    settle(world)
    expect(world.resource.status).toMatchObject({ held: { by: 'GateFailure' }, plan: { weight: 0 } })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'GateFailed' })
    world.annotate({ id: '1', verb: 'abort', revision: named('failing') })
    settle(world)
    expect(world.resource.status?.history?.[0]).toMatchObject({ outcome: 'Aborted' })
  })
})

test('a field that is not supported stalls with its name, and stable goes on', () => {
  const world = settled('good')
  world.setSpec(specOf('better', { steps: [{ shadow: 50, hold: '1s' }] }))
  settle(world, { rounds: 20 })
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
  expect(conditionOf(world, 'Stalled')?.message).toContain('spec.rollout.steps[0].shadow')
  expect(world.serves).toBe(named('good'))
})

test('a replaced revision stays warm for the delay, relays to its successor, and then goes', () => {
  const world = settled('good')
  world.setSpec(specOf('better', { scaleDownDelay: '60s' }))
  for (let round = 0; world.serves !== named('better') && round < 200; round += 1) settle(world, { rounds: 1 })
  expect(world.resource.status?.retiring).toMatchObject([{ revision: named('good') }])
  expect(world.replicasOf(named('good'))).toBe(2)
  const files = world.objects.get('ConfigMap/m-traffic')?.data as Record<string, string>
  expect(JSON.parse(files[`${named('good')}.json`] ?? '')).toMatchObject({
    retired: true,
    weightPermille: 1000,
    peer: { revision: named('better') },
  })
  settle(world, { rounds: 80 })
  expect(world.resource.status?.retiring).toBeUndefined()
  expect(world.replicasOf(named('good'))).toBeUndefined()
})

test('a plan that a pod does not take up starts no clock, and after a minute status names the pod', () => {
  const world = settled('good')
  world.plansArrive = false
  world.setSpec(specOf('better'))
  settle(world, { rounds: 30 })
  expect(world.resource.status?.rollout).toMatchObject({ phase: 'Shifting', step: 0 })
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'False' })
  settle(world, { rounds: 60 })
  expect(world.resource.status?.rollout?.acknowledgedAt).toBeUndefined()
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'PlanNotAcknowledged' })
  expect(conditionOf(world, 'Stalled')?.message).toContain(`pod ${named('good')}-1`)
  world.plansArrive = true
  settle(world)
  expect(world.serves).toBe(named('better'))
})

test('a pod of stable that comes after the plan does not hold up its acknowledgement', () => {
  const world = settled('good')
  world.plansArrive = false
  world.setSpec(specOf('better'))
  settle(world, { rounds: 10 })
  const planned = Date.parse(world.resource.status?.rollout?.since ?? '')
  const planId = world.resource.status?.plan?.id ?? 0
  const [late, ...others] = world.pods.filter((pod) => pod.revision === named('good'))
  for (const pod of others) pod.planId = planId
  if (late !== undefined) late.readyChangedAt = planned + 1
  settle(world, { rounds: 1 })
  expect(late?.planId).toBeLessThan(planId)
  expect(world.resource.status?.rollout?.acknowledgedAt).toBeDefined()
})

test('a status that was taken away starts anew, with plans that the pods do not take for old ones', () => {
  const world = settled('good')
  world.setSpec(specOf('better'))
  settle(world)
  const highest = Math.max(...world.pods.map((pod) => pod.planId))
  const { status: _lost, ...rest } = world.resource
  world.resource = rest
  settle(world)
  world.setSpec(specOf('good'))
  settle(world)
  expect(world.serves).toBe(named('good'))
  expect(Math.max(...world.pods.map((pod) => pod.planId))).toBeGreaterThan(highest)
})

test('a plan that a replaced revision has not taken up is nudged again and again', () => {
  const world = settled('good')
  world.setSpec(specOf('better'))
  for (let round = 0; world.serves !== named('better') && round < 200; round += 1) settle(world, { rounds: 1 })
  const values = new Set<string>()
  for (let look = 0; look < 3; look += 1) {
    world.now += 5000
    for (const pod of world.pods) pod.planId = 1
    for (const nudge of plan(world.observe(), SETTINGS, world.now).nudges) values.add(nudge.value)
  }
  expect(values.size).toBe(3)
})

test('nothing is written when nothing happens', () => {
  const world = settled('good')
  const first = plan(world.observe(), SETTINGS, world.now)
  world.pass(3_600_000, 10)
  const later = plan(world.observe(), SETTINGS, world.now)
  expect(later.status).toEqual(world.resource.status)
  expect(later.children).toEqual(first.children)
  expect(later.requeueAfterMs).toBeUndefined()
})

test('stable keeps its size until the candidate is promoted', () => {
  const world = settled('good')
  world.setSpec(specOf('better'))
  for (let round = 0; world.serves === named('good') && round < 200; round += 1) {
    expect(world.replicasOf(named('good'))).toBe(2)
    settle(world, { rounds: 1 })
  }
  expect(world.pods.filter((pod) => pod.revision === named('better') && pod.ready)).toHaveLength(2)
})

test('a crash after any single write converges to the same end', () => {
  const outcome = (world: World) => ({
    serves: world.serves,
    outcomes: world.resource.status?.history?.map((entry) => [entry.revision, entry.outcome]),
    rejected: world.resource.status?.rejected?.map((each) => each.revision),
    objects: [...world.objects.keys()].sort(),
    unanswered: world.unanswered,
  })
  const story = (model: string, crashes: readonly number[]) => {
    const world = settle(newWorld(specOf('good')), { crashes: crashes.slice(0, 10), rounds: 60 })
    world.setSpec(specOf(model))
    return outcome(settle(world, { crashes: crashes.slice(10), rounds: 500 }))
  }
  const crashPoints = fc.array(
    fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, { weight: 2, arbitrary: fc.nat(14) }),
    { maxLength: 60 },
  )
  for (const model of ['better', 'failing', 'missing']) {
    const undisturbed = story(model, [])
    fc.assert(
      fc.property(crashPoints, (crashes) => {
        expect(story(model, crashes)).toEqual(undisturbed)
      }),
      { numRuns: 10 },
    )
  }
})
