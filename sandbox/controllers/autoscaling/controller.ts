import { keyOf } from '../cache.ts'
import { sameMeaning } from '../canonical.ts'
import type { Controller } from '../controller.ts'
import { isDeleting } from '../pod-state.ts'
import type { World } from '../world.ts'
import { emptyMemory, type Memory } from './behavior.ts'
import type { PodUsage } from './metrics.ts'
import type { HorizontalPodAutoscaler } from './objects.ts'
import { planAutoscaling, type AutoscalerObservation } from './plan.ts'
import { scaleTargets } from './scale-targets.ts'

/** What one pod uses now. */
export interface MeasuredPod extends PodUsage {
  readonly uid: string
}

export interface AutoscalingOptions {
  /** Measures all pods; one that cannot be measured yet is left out. */
  readonly usage: () => Promise<readonly MeasuredPod[]>
  /** How often each autoscaler looks. */
  readonly intervalMs: number
}

/** Sizes each target by what its pods use. It writes the target's size through `/scale` alone, and only when it changes. */
export function autoscalingController(world: World, options: AutoscalingOptions): Controller {
  const { autoscalers, client, nowMs } = world
  const targets = scaleTargets(client)
  const memories = new Map<string, Memory>()
  return {
    name: 'autoscaling',
    watch(enqueue) {
      autoscalers.cache.subscribe(({ before, after }) => {
        const object = after ?? before
        // Its own status is no reason to look before the interval has passed.
        if (object !== undefined && !sameMeaning(before?.spec, after?.spec)) enqueue(keyOf(object))
      })
    },
    async sync(key) {
      const hpa = autoscalers.cache.get(key)
      if (hpa === undefined || isDeleting(hpa)) {
        memories.delete(key)
        return undefined
      }
      const [scale, measured] = await Promise.all([targets.read(hpa), options.usage()])
      const seen = observe(world, hpa, { scale, measured })
      const plan = planAutoscaling(seen, memories.get(key) ?? emptyMemory, nowMs())
      if (plan.scaleTo !== undefined) await targets.write(hpa, plan.scaleTo)
      memories.set(key, plan.memory)
      await autoscalers.updateStatus(hpa, plan.status)
      return nowMs() + options.intervalMs
    },
  }
}

function observe(
  { pods }: World,
  hpa: HorizontalPodAutoscaler,
  { scale, measured }: Pick<AutoscalerObservation, 'scale'> & { measured: readonly MeasuredPod[] },
): AutoscalerObservation {
  const byUid = new Map(measured.map((pod) => [pod.uid, pod]))
  const ofNamespace = pods.cache.inNamespace(hpa.metadata.namespace)
  return { hpa, scale, pods: ofNamespace, usageOf: (pod) => byUid.get(pod.metadata.uid) }
}
