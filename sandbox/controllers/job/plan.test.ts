import { describe, expect, test } from '@jest/globals'
import { exampleJob, examplePod, T0, type PodFacts } from '../examples.ts'
import type { Job, Pod } from '../objects.ts'
import { planJob, TRACKING_FINALIZER } from './plan.ts'

const BACKOFF_MS = 10_000

/** A Job and its pods; a pod's end is scripted, and it goes when it is deleted and has no finalizer. */
class World {
  job: Job
  pods: Pod[] = []
  nowMs = T0
  created = 0

  constructor(spec: Partial<Job['spec']> = {}) {
    this.job = exampleJob(spec)
  }

  /** Writes the plan. `losing` names a write that crashes: it and all after it are not made. */
  step(losing?: 'status' | 'untrack' | 'pods'): ReturnType<typeof planJob> {
    const plan = planJob({ job: this.job, pods: this.pods }, BACKOFF_MS, this.nowMs)
    if (losing === 'pods') return plan
    for (let count = 0; count < plan.create; count++) this.add({ finalizers: [TRACKING_FINALIZER] })
    const removed = new Set(plan.remove)
    this.pods = this.pods.map((pod) =>
      removed.has(pod) ? { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } : pod,
    )
    if (losing === 'untrack') return plan
    const untracked = new Set(plan.untrack.map((pod) => pod.metadata.uid))
    this.pods = this.pods.map((pod) =>
      untracked.has(pod.metadata.uid) ? { ...pod, metadata: { ...pod.metadata, finalizers: [] } } : pod,
    )
    this.pods = this.pods.filter(
      (pod) => pod.metadata.deletionTimestamp === undefined || pod.metadata.finalizers?.length !== 0,
    )
    if (losing !== 'status') this.job = { ...this.job, status: plan.status }
    return plan
  }

  add(facts: PodFacts): void {
    this.pods.push(examplePod(`pod-${this.created++}`, facts))
  }

  end(phase: 'Succeeded' | 'Failed'): void {
    this.pods = this.pods.map((pod) => (pod.status?.phase === 'Running' ? ended(pod, phase, this.nowMs) : pod))
  }

  settle(): void {
    for (let round = 0; round < 6; round++) this.step()
  }

  conditions(): Record<string, string> {
    return Object.fromEntries(
      (this.job.status?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    )
  }
}

function ended(pod: Pod, phase: string, atMs: number): Pod {
  const example = examplePod(pod.metadata.name, { phase, ready: false, finishedAt: atMs })
  return { ...example, metadata: pod.metadata }
}

describe('a Job', () => {
  test('creates its pod, and completes once that succeeded and is counted', () => {
    const world = new World()
    world.settle()
    expect(world.pods).toHaveLength(1)
    expect(world.job.status).toMatchObject({ active: 1, ready: 1, startTime: '2026-01-01T00:00:00Z' })
    world.end('Succeeded')
    world.step()
    expect(world.job.status?.uncountedTerminatedPods).toEqual({ succeeded: ['uid-pod-0'] })
    expect(world.conditions()).toEqual({ SuccessCriteriaMet: 'True CompletionsReached' })
    world.settle()
    expect(world.conditions()).toEqual({
      SuccessCriteriaMet: 'True CompletionsReached',
      Complete: 'True CompletionsReached',
    })
    expect(world.job.status).toEqual({
      startTime: '2026-01-01T00:00:00Z',
      completionTime: '2026-01-01T00:00:00Z',
      succeeded: 1,
      ready: 0,
      terminating: 0,
      uncountedTerminatedPods: {},
      conditions: world.job.status?.conditions,
    })
    expect(world.pods[0]?.metadata.finalizers).toEqual([])
    expect(world.step()).toMatchObject({ create: 0, remove: [], untrack: [], status: world.job.status })
  })

  test.each(['status', 'untrack', 'pods'] as const)(
    'counts each pod once even if a step is cut off before its %s write',
    (losing) => {
      const world = new World({ backoffLimit: 2 })
      for (let round = 0; round < 12; round++) {
        world.step(round % 2 === 0 ? losing : undefined)
        world.end('Failed')
        world.nowMs += 200_000
      }
      world.settle()
      expect(world.job.status?.failed).toBe(3)
      expect(world.conditions()).toMatchObject({
        FailureTarget: 'True BackoffLimitExceeded',
        Failed: 'True BackoffLimitExceeded',
      })
    },
  )

  test('waits longer after each failure', () => {
    const world = new World()
    world.settle()
    const delays: number[] = []
    for (let failure = 0; failure < 3; failure++) {
      world.end('Failed')
      world.settle()
      const { lookAgainAt = 0 } = world.step()
      delays.push(lookAgainAt - world.nowMs)
      world.nowMs = lookAgainAt
      world.settle()
    }
    expect(delays).toEqual([10_000, 20_000, 40_000])
  })

  test('fails at its deadline, after its pod is gone', () => {
    const world = new World({ activeDeadlineSeconds: 30 })
    world.settle()
    expect(world.step().lookAgainAt).toBe(T0 + 30_000)
    world.nowMs += 30_000
    const { remove } = world.step()
    expect(remove).toHaveLength(1)
    expect(world.conditions()).toEqual({ FailureTarget: 'True DeadlineExceeded' })
    world.settle()
    expect(world.conditions()).toMatchObject({ Failed: 'True DeadlineExceeded' })
    expect(world.pods).toEqual([])
  })

  test('fails when a container restarted too often', () => {
    const world = new World({
      backoffLimit: 3,
      template: { spec: { containers: [{ name: 'main' }], restartPolicy: 'OnFailure' } },
    })
    world.add({ finalizers: [TRACKING_FINALIZER], restarts: 3 })
    world.step()
    expect(world.conditions()).toEqual({ FailureTarget: 'True BackoffLimitExceeded' })
  })

  test('that is suspended has no pods and no start, and starts anew when resumed', () => {
    const world = new World({ suspend: true })
    world.settle()
    expect(world.pods).toEqual([])
    expect(world.job.status?.startTime).toBeUndefined()
    expect(world.conditions()).toEqual({ Suspended: 'True JobSuspended' })
    world.job = { ...world.job, spec: { ...world.job.spec, suspend: false } }
    world.nowMs += 5_000
    world.settle()
    expect(world.pods).toHaveLength(1)
    expect(world.job.status?.startTime).toBe('2026-01-01T00:00:05Z')
    expect(world.conditions()).toEqual({ Suspended: 'False JobResumed' })
  })

  test('runs as many pods at once as it may, and no more than are still needed', () => {
    const world = new World({ completions: 5, parallelism: 3 })
    world.settle()
    expect(world.pods).toHaveLength(3)
    world.end('Succeeded')
    world.settle()
    expect(world.pods).toHaveLength(5)
    world.end('Succeeded')
    world.settle()
    expect(world.job.status?.succeeded).toBe(5)
    expect(world.conditions()).toMatchObject({ Complete: 'True CompletionsReached' })
  })

  test('expires when its time to live after the end has passed', () => {
    const world = new World({ ttlSecondsAfterFinished: 60 })
    world.settle()
    world.end('Succeeded')
    world.settle()
    expect(world.step()).toMatchObject({ expired: false, lookAgainAt: T0 + 60_000 })
    world.nowMs += 60_000
    expect(world.step().expired).toBe(true)
  })
})
