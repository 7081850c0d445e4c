import { ApiError } from '../../../operator/kube/errors.ts'
import { keyOf } from '../cache.ts'
import { sameMeaning } from '../canonical.ts'
import type { Controller } from '../controller.ts'
import { resourceOfKind } from '../discovery.ts'
import { parseSelector } from '../selector.ts'
import { isDeleting } from '../pod-state.ts'
import type { Pod } from '../objects.ts'
import type { World } from '../world.ts'
import { emptyMemory, type Memory } from './behavior.ts'
import type { PodUsage } from './metrics.ts'
import type { HorizontalPodAutoscaler, ScaleTarget } from './objects.ts'
import { planAutoscaling } from './plan.ts'

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
  const { autoscalers } = world
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
        for (const uid of memories.keys()) if (!isAlive(world, uid)) memories.delete(uid)
        return undefined
      }
      const { uid } = hpa.metadata
      memories.set(uid, await syncAutoscaler(world, hpa, memories.get(uid) ?? emptyMemory, options.usage))
      return world.nowMs() + options.intervalMs
    },
  }
}

function isAlive({ autoscalers }: World, uid: string): boolean {
  return autoscalers.cache.all().some((hpa) => hpa.metadata.uid === uid)
}

/** @returns what to remember until the next look. */
async function syncAutoscaler(
  world: World,
  hpa: HorizontalPodAutoscaler,
  memory: Memory,
  usage: AutoscalingOptions['usage'],
): Promise<Memory> {
  const { autoscalers, pods, nowMs } = world
  const [scale, measured] = await Promise.all([readScale(world, hpa), usage()])
  const byUid = new Map(measured.map((pod) => [pod.uid, pod]))
  const usageOf = (pod: Pod): PodUsage | undefined => byUid.get(pod.metadata.uid)
  const plan = planAutoscaling(
    { hpa, scale, pods: pods.cache.inNamespace(hpa.metadata.namespace), usageOf },
    memory,
    nowMs(),
  )
  if (plan.scaleTo !== undefined) await writeScale(world, hpa, plan.scaleTo)
  await autoscalers.updateStatus(hpa, plan.status)
  return plan.memory
}

async function readScale(world: World, hpa: HorizontalPodAutoscaler): Promise<ScaleTarget | { unreadable: string }> {
  try {
    const { resource, name } = await targetOf(world, hpa)
    const scale = await world.client.getScale(resource, name)
    const text = scale.status?.selector ?? ''
    return { replicas: scale.spec?.replicas ?? 0, selector: text === '' ? undefined : parseSelector(text) }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { unreadable: error.message }
  }
}

async function writeScale(world: World, hpa: HorizontalPodAutoscaler, replicas: number): Promise<void> {
  const { resource, name } = await targetOf(world, hpa)
  await world.client.patchScale(resource, name, replicas)
}

async function targetOf(world: World, hpa: HorizontalPodAutoscaler) {
  const { apiVersion = 'v1', kind, name } = hpa.spec.scaleTargetRef
  const resource = await resourceOfKind(world.client, apiVersion, kind)
  if (resource === undefined) {
    throw new ApiError({
      code: 404,
      reason: 'NotFound',
      message: `no matches for kind "${kind}" in group "${apiVersion}"`,
      causes: [],
    })
  }
  const { namespace } = hpa.metadata
  return { resource, name: { name, ...(namespace === undefined ? {} : { namespace }) } }
}
