import { expect, test } from '@jest/globals'
import type { Announcement } from './announcements.ts'
import { plan } from './plan.ts'
import { SETTINGS, conditionOf, named, newWorld, settled, specOf } from './story.ts'
import type { World } from './world.ts'

/** Every announcement of so many seconds, and how often status was written. */
function follow(world: World, seconds: number, requests = 0) {
  const told: Announcement[] = []
  let writes = 0
  for (let second = 0; second < seconds; second += 1) {
    const next = plan(world.observe(), SETTINGS, world.now)
    if (JSON.stringify(next.status) !== JSON.stringify(world.resource.status)) writes += 1
    told.push(...next.announcements)
    world.commit(next)
    world.pass(1000, requests)
  }
  return { told, writes, reasons: told.map(({ reason }) => reason) }
}

const stalls = ['InvalidSpec', 'RevisionRejected', 'RecordMissing', 'PlanNotAcknowledged', 'ApplyFailed']

test('a first rollout is told from its start to its end, and nothing after that', () => {
  const world = newWorld(specOf('good'))
  const { told, reasons } = follow(world, 30)
  expect(reasons).toEqual(['RolloutStarted', 'Promoting', 'Promoted', 'Serving'])
  const name = `version good (${named('good')})`
  expect(told[2]?.message).toBe(`${name} is healthy at full size`)
  expect(follow(world, 60)).toMatchObject({ told: [], writes: 0 })
})

test('pods that all stop being ready are a warning, and their return is told', () => {
  const world = settled('good')
  for (const pod of world.pods) pod.ready = false
  expect(follow(world, 5).told).toMatchObject([
    { type: 'Warning', reason: 'Unavailable' },
    { type: 'Normal', reason: 'Serving' },
  ])
})

test('the end of a rollout is told also where no history is kept', () => {
  const world = newWorld(specOf('good', { historyLimit: 0 }))
  expect(follow(world, 30).reasons).toContain('Promoted')
  world.setSpec(specOf('missing', { historyLimit: 0 }))
  const { told } = follow(world, 30)
  expect(told.find(({ reason }) => reason === 'RolledBack')?.message).toContain('NotFound: no such file')
  expect(world.resource.status?.history).toBeUndefined()
})

test('a source that cannot be reached is told once, and status keeps the reason while it is tried again', () => {
  const world = settled('good')
  world.setSpec(specOf('unreachable'))
  follow(world, 5)
  const messages = new Set<string | undefined>()
  const later = Array.from({ length: 120 }, () => {
    const one = follow(world, 1)
    messages.add(conditionOf(world, 'Ready')?.message)
    return one
  })
  expect([...messages]).toEqual([expect.stringContaining('Unreachable: connection refused; it will be tried again')])
  expect(later.reduce((sum, each) => sum + each.writes, 0)).toBe(0)
  expect(later.flatMap((each) => each.told)).toEqual([])
})

test('a source that cannot be reached for a while is a warning, and its recovery is none', () => {
  const world = settled('good')
  world.setSpec(specOf('unreachable'))
  expect(follow(world, 60).reasons).toEqual(['RolloutStarted', 'ResolveFailed'])
  world.setSpec(specOf('better'))
  expect(follow(world, 60, 400).reasons).not.toContain('ResolveFailed')
})

test('a spec that becomes invalid, is wrong in another way, and is mended is told each time, with all that is wrong', () => {
  const world = settled('good')
  const good = specOf('good')
  world.setSpec({ ...good, monitoring: {}, routing: { provider: 'GatewayAPI' } })
  const [first, ...others] = follow(world, 60).told
  expect(first).toMatchObject({ type: 'Warning', reason: 'InvalidSpec' })
  expect(first?.message).toMatch(
    /spec\.routing\.provider: GatewayAPI is not supported.*; spec\.monitoring is not supported/,
  )
  expect(others).toEqual([])
  expect(conditionOf(world, 'Stalled')?.message).toBe(first?.message)
  world.setSpec({ ...good, monitoring: {} })
  expect(follow(world, 60).reasons).toEqual(['InvalidSpec'])
  world.setSpec(good)
  expect(follow(world, 60).reasons).toEqual(['NoLongerStalled', 'Serving'])
})

test.each<[string, string, (world: World) => void]>([
  ['a record that is gone', 'RecordMissing', (world) => world.remove(`ControllerRevision/${named('good')}`)],
  [
    'a plan that nobody takes up',
    'PlanNotAcknowledged',
    (world) => {
      world.plansArrive = false
      world.setSpec(specOf('better'))
    },
  ],
  ['a revision that is rejected', 'RevisionRejected', (world) => world.setSpec(specOf('missing'))],
  [
    'an object of somebody else',
    'ApplyFailed',
    (world) => {
      const object = 'ConfigMap m-traffic'
      world.refuses = (asked) => (asked === object ? { object, message: 'is not ours', kind: 'Refused' } : undefined)
    },
  ],
])('%s is told once', (_what, reason, happen) => {
  const world = settled('good')
  happen(world)
  const { told } = follow(world, 200)
  expect(told.filter((each) => stalls.includes(each.reason))).toMatchObject([{ type: 'Warning', reason }])
})

test('each annotation that cannot be read is answered, once', () => {
  const world = settled('good')
  const annotate = (text: string) => {
    const annotations = { 'penstock.dev/action': text }
    world.resource = { ...world.resource, metadata: { ...world.resource.metadata, annotations } }
    return follow(world, 5).reasons
  }
  expect(annotate('promote')).toEqual(['ActionRefused'])
  expect(annotate('promote!')).toEqual(['ActionRefused'])
  expect(world.resource.status?.lastHandledAction).toMatchObject({ id: expect.stringMatching(/^invalid-[0-9a-f]{8}$/) })
  expect(annotate('promote')).toEqual([])
})
