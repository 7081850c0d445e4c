/**
 * The controllers of kube-controller-manager that Penstock leans on, as clients of one API server.
 *
 * Each looks at caches, decides by a pure plan, and writes only what differs, so an idle cluster sees no writes. They promise the
 * behaviour of the real ones in what people and operators can observe: statuses, conditions, names, the order of things. Scheduling
 * and running pods is left to the kubelet, admission and defaults to the API server.
 */
import type { Client } from '../../operator/kube/client.ts'
import { isConflict } from '../../operator/kube/errors.ts'
import { silentLog, type Log } from '../../operator/kube/log.ts'
import { createWorkqueue, type Workqueue } from '../../operator/kube/workqueue.ts'
import { autoscalingController, type MeasuredPod } from './autoscaling/controller.ts'
import type { Controller } from './controller.ts'
import { deploymentController } from './deployment/controller.ts'
import { disruptionController } from './disruption/controller.ts'
import { endpointSliceController } from './endpointslice/controller.ts'
import { garbageCollector } from './garbage/controller.ts'
import { jobController } from './job/controller.ts'
import { namespaceController } from './namespace/controller.ts'
import { replicaSetController } from './replicaset/controller.ts'
import { collectionsOf, createWorld, type World } from './world.ts'

export interface ControllersOptions {
  readonly client: Client
  /** PEM of the authority that signed the API server's certificate: what `kube-root-ca.crt` holds. */
  readonly certificateAuthority: string
  /** What pods use now; without it no metric has a source. */
  readonly usage?: () => Promise<readonly MeasuredPod[]>
  /** How often autoscalers look. Default 15. */
  readonly autoscalerIntervalSeconds?: number
  /** Wait after a Job's first failed pod; it doubles with each. Default 10. */
  readonly jobBackoffSeconds?: number
  readonly log?: Log
  readonly nowMs?: () => number
}

export interface Controllers {
  /** Resolves when no controller runs any more. The client stays open. */
  stop(): Promise<void>
}

const BACKOFF = { baseMs: 5, capMs: 30_000 }

/** Starts all controllers; resolves once their caches are complete. */
export async function startControllers(options: ControllersOptions): Promise<Controllers> {
  const world = createWorld({ client: options.client, log: options.log ?? silentLog, nowMs: options.nowMs ?? Date.now })
  const garbage = garbageCollector(world)
  const queues = [...controllersOf(world, options), garbage].map((controller) => queueFor(world, controller))
  const collections = collectionsOf(world)
  await Promise.all([...collections.map((collection) => collection.start()), garbage.start()])
  for (const queue of queues) queue.start()
  return {
    async stop() {
      await Promise.all(queues.map((queue) => queue.stop()))
      await Promise.all([garbage.stop(), ...collections.map((collection) => collection.stop())])
    },
  }
}

function controllersOf(world: World, options: ControllersOptions): Controller[] {
  const { usage = async () => [], autoscalerIntervalSeconds = 15, jobBackoffSeconds = 10 } = options
  return [
    deploymentController(world),
    replicaSetController(world),
    jobController(world, jobBackoffSeconds * 1000),
    endpointSliceController(world),
    autoscalingController(world, { usage, intervalMs: autoscalerIntervalSeconds * 1000 }),
    disruptionController(world),
    namespaceController(world, options.certificateAuthority),
  ]
}

function queueFor(world: World, controller: Controller): Workqueue {
  const { log, nowMs } = world
  const queue = createWorkqueue({
    process: async (key) => {
      const lookAgainAt = await controller.sync(key)
      return lookAgainAt === undefined ? undefined : { requeueAfterMs: lookAgainAt - nowMs() }
    },
    backoff: BACKOFF,
    onFailure({ key, error, failures, retryInMs }) {
      const fields = { controller: controller.name, key, failures, retryInMs: Math.round(retryInMs), err: error }
      // Somebody else wrote first: the next look sees it.
      if (isConflict(error)) log.debug(fields, 'a write came too late: trying again')
      else log.warn(fields, 'a sync failed: trying again')
    },
  })
  controller.watch((key) => queue.add(key))
  return queue
}
