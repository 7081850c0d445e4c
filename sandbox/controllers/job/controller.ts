import { keyIn } from '../cache.ts'
import { claimObjects, concernedOwners, type Owners } from '../claiming.ts'
import type { Controller } from '../controller.ts'
import type { Job, NewObject, Pod } from '../objects.ts'
import { controllerOf } from '../ownership.ts'
import { createPods, podFrom } from '../pod-creation.ts'
import { isEmptySelector, matches } from '../selector.ts'
import type { World } from '../world.ts'
import { JOB, isTracked, planJob, TRACKING_FINALIZER } from './plan.ts'

const CONTROLLER = 'kubernetes.io/job-controller'

/** Runs each Job's pods to completion. `backoffBaseMs` is the wait after the first failure. */
export function jobController(world: World, backoffBaseMs: number): Controller {
  const { jobs, pods } = world
  const owners: Owners<Job, Pod> = { kind: 'Job', cache: jobs.cache, selects }
  return {
    name: 'job',
    watch(enqueue) {
      jobs.cache.subscribeKeys(enqueue)
      pods.cache.subscribe((change) => {
        for (const key of concernedOwners(owners, change)) enqueue(key)
      })
    },
    async sync(key) {
      const job = jobs.cache.get(key)
      await releaseOrphans(world, key, job)
      const isOurs = (job?.spec.managedBy ?? CONTROLLER) === CONTROLLER
      return job === undefined || !isOurs ? undefined : syncJob(world, job, backoffBaseMs)
    },
  }
}

function selects(job: Job, pod: Pod): boolean {
  return !isEmptySelector(job.spec.selector) && matches(job.spec.selector, pod.metadata.labels)
}

/** A pod whose Job is gone is counted by nobody: its finalizer must not keep it. */
async function releaseOrphans({ pods }: World, key: string, job: Job | undefined): Promise<void> {
  const [namespace] = key.split('/')
  const orphans = pods.cache.inNamespace(namespace).filter((pod) => {
    const controller = controllerOf(pod)
    const isOfThisName = controller?.kind === 'Job' && keyIn(pod.metadata.namespace, controller.name) === key
    return isTracked(pod) && isOfThisName && controller.uid !== job?.metadata.uid
  })
  for (const pod of orphans) await pods.removeFinalizer(pod, TRACKING_FINALIZER)
}

async function syncJob(world: World, job: Job, backoffBaseMs: number): Promise<number | undefined> {
  const { jobs, pods, nowMs } = world
  const isNamed = (pod: Pod): boolean => controllerOf(pod)?.uid === job.metadata.uid
  const matching = (pod: Pod): boolean => (isEmptySelector(job.spec.selector) ? isNamed(pod) : selects(job, pod))
  const owned = await claimObjects(job, JOB, { collection: pods, matches: matching })
  const plan = planJob({ job, pods: owned }, backoffBaseMs, nowMs())
  if (plan.expired) {
    await jobs.remove(job, { propagation: 'Foreground' })
    return undefined
  }
  await createPods(pods, trackedPod(job), plan.create)
  for (const pod of plan.remove) await pods.remove(pod)
  const after = planJob({ job, pods: pods.cache.controlledBy(job.metadata.uid) }, backoffBaseMs, nowMs())
  await jobs.updateStatus(job, after.status)
  for (const pod of plan.untrack) await pods.removeFinalizer(pod, TRACKING_FINALIZER)
  return plan.lookAgainAt
}

function trackedPod(job: Job): NewObject<Pod> {
  const pod = podFrom(job.spec.template, job, JOB)
  return { ...pod, metadata: { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), TRACKING_FINALIZER] } }
}
