import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Container, Pod } from '../objects.ts'
import { planPod } from './plan.ts'
import type { PodPlan, PodSeen } from './plan.ts'
import { allContainers, isRunning, isSidecar, recordOf } from './record.ts'
import type { ContainerRecord } from './record.ts'
import { podStatusOf } from './status.ts'
import { began, ended, progressed } from './transitions.ts'

const backOff = { baseMs: 10_000, maxMs: 300_000 }

function podOf(restartPolicy: string, mains: number, inits: readonly ('plain' | 'sidecar')[]): Pod {
  const initContainers = inits.map((kind, index): Container => ({
    name: `init-${index}`,
    ...(kind === 'sidecar' && { restartPolicy: 'Always' }),
  }))
  const containers = Array.from({ length: mains }, (_, index) => ({ name: `main-${index}` }))
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u' },
    spec: { restartPolicy, containers, initContainers },
  } as Pod
}

/** A pod's life without processes: does what the plan says, and lets the containers live as they are told. */
class Life {
  readonly pod: Pod
  readonly records = new Map<string, ContainerRecord>()
  nowMs = 0
  initialized = false
  ending: PodSeen['ending']
  outcome: PodPlan['outcome']

  constructor(pod: Pod) {
    this.pod = pod
  }

  turn(): PodPlan {
    const { pod, records, initialized, ending, nowMs } = this
    const plan = planPod({ pod, records, initialized, ending, nowMs, backOff })
    this.initialized = plan.initialized
    this.outcome = plan.outcome
    for (const name of plan.start) this.start(name)
    for (const name of plan.stop) this.end(name, 143)
    return plan
  }

  start(name: string): void {
    const run = { startedAtMs: this.nowMs, containerID: name, probedReady: true }
    this.records.set(name, began(recordOf(this.records, name), run, backOff))
  }

  ready(name: string): void {
    const record = recordOf(this.records, name)
    if (isRunning(record)) this.records.set(name, progressed(record, { started: true, probedReady: true }))
  }

  end(name: string, exitCode: number): void {
    const record = recordOf(this.records, name)
    if (!isRunning(record)) return
    const exit = { exitCode, reason: 'x', startedAtMs: 0, finishedAtMs: this.nowMs, containerID: name }
    this.records.set(name, ended(record, exit))
  }

  isRunning(name: string): boolean {
    return isRunning(recordOf(this.records, name))
  }
}

const pods = fc
  .tuple(
    fc.constantFrom('Always', 'OnFailure', 'Never'),
    fc.integer({ min: 1, max: 3 }),
    fc.array(fc.constantFrom('plain' as const, 'sidecar' as const), { maxLength: 3 }),
  )
  .map(([policy, mains, inits]) => podOf(policy, mains, inits))

const happenings = fc.array(
  fc.record({
    which: fc.nat(5),
    what: fc.constantFrom('ready', 'succeed', 'fail', 'pass time', 'delete'),
    ms: fc.integer({ min: 0, max: 400_000 }),
  }),
  { maxLength: 40 },
)

function happen(life: Life, { which, what, ms }: { which: number; what: string; ms: number }): void {
  const containers = allContainers(life.pod)
  const { name } = containers[which % containers.length] as Container
  if (what === 'ready') life.ready(name)
  if (what === 'succeed') life.end(name, 0)
  if (what === 'fail') life.end(name, 1)
  if (what === 'pass time') life.nowMs += ms
  if (what === 'delete') life.ending = 'Deleted'
}

describe('the plan of a pod', () => {
  test('keeps its laws whatever happens', () => {
    fc.assert(
      fc.property(pods, happenings, (pod, events) => {
        const life = new Life(pod)
        for (const event of [{ which: 0, what: 'pass time', ms: 0 }, ...events]) {
          happen(life, event)
          if (life.outcome !== undefined) return
          const before = new Map([...life.records].map(([name, record]) => [name, isRunning(record)]))
          const plan = life.turn()
          for (const name of plan.start) expect(before.get(name) ?? false).toBe(false)
          for (const name of plan.stop) expect(before.get(name)).toBe(true)
          if (life.ending !== undefined) expect(plan.start).toEqual([])
          const plainInits = (pod.spec.initContainers ?? []).filter((each) => !isSidecar(each))
          expect(plainInits.filter(({ name }) => life.isRunning(name)).length).toBeLessThanOrEqual(1)
          if (!plan.initialized) expect(pod.spec.containers.some(({ name }) => life.isRunning(name))).toBe(false)
          if (plan.outcome !== undefined)
            expect(allContainers(pod).some(({ name }) => life.isRunning(name))).toBe(false)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a deleted pod comes to its end by its plan alone', () => {
    fc.assert(
      fc.property(pods, happenings, (pod, events) => {
        const life = new Life(pod)
        for (const event of events) {
          happen(life, event)
          if (life.outcome === undefined) life.turn()
        }
        life.ending = 'Deleted'
        for (let turn = 0; turn < 10 && life.outcome === undefined; turn++) life.turn()
        expect(life.outcome).toBeDefined()
      }),
    )
  })

  test('the phase only goes forward, and restart counts only up', () => {
    const order = ['Pending', 'Running', 'Succeeded', 'Failed']
    fc.assert(
      fc.property(pods, happenings, (pod, events) => {
        const life = new Life(pod)
        let [phase, restarts] = [0, 0]
        for (const event of events) {
          happen(life, event)
          if (life.outcome === undefined) life.turn()
          const status = podStatusOf(pod, {
            ...life,
            prepared: true,
            hostIP: 'h',
            startedAtMs: 0,
            conditionsBefore: [],
            backOff,
            imageIdOf: (image) => image,
          })
          const now = order.indexOf(status.phase ?? '')
          expect(now).toBeGreaterThanOrEqual(phase)
          const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
          const count = statuses.reduce((sum, { restartCount }) => sum + restartCount, 0)
          expect(count).toBeGreaterThanOrEqual(restarts)
          ;[phase, restarts] = [now, count]
        }
      }),
    )
  })

  test.each([
    ['Always', 0, 'start'],
    ['Always', 1, 'start'],
    ['OnFailure', 0, 'Succeeded'],
    ['OnFailure', 1, 'start'],
    ['Never', 0, 'Succeeded'],
    ['Never', 1, 'Failed'],
  ])('%s after exit code %d: %s', (policy, exitCode, then) => {
    const life = new Life(podOf(policy, 1, []))
    life.turn()
    life.end('main-0', exitCode)
    const plan = life.turn()
    expect(plan.outcome ?? (plan.start.length > 0 ? 'start' : 'nothing')).toBe(then)
  })
})
