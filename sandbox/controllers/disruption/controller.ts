import { keyIn, keyOf } from '../cache.ts'
import type { Controller } from '../controller.ts'
import type { Pod } from '../objects.ts'
import { controllerOf } from '../ownership.ts'
import { isDeleting } from '../pod-state.ts'
import { matches } from '../selector.ts'
import type { World } from '../world.ts'
import { planBudget } from './plan.ts'

/** Counts for each PodDisruptionBudget how many of its pods may be evicted; the eviction itself is the API server's. */
export function disruptionController(world: World): Controller {
  const { budgets, pods, replicaSets, deployments, nowMs } = world
  return {
    name: 'disruption',
    watch(enqueue) {
      budgets.cache.subscribe(({ after }) => {
        if (after !== undefined) enqueue(keyOf(after))
      })
      pods.cache.subscribe(({ before, after }) => {
        const states = [before, after].filter((state) => state !== undefined)
        for (const budget of budgets.cache.inNamespace(states[0]?.metadata.namespace)) {
          if (states.some((pod) => matches(budget.spec.selector, pod.metadata.labels))) enqueue(keyOf(budget))
        }
      })
      for (const workloads of [replicaSets, deployments]) {
        workloads.cache.subscribe(({ before, after }) => {
          if (before === undefined || after === undefined || before.spec.replicas === after.spec.replicas) return
          for (const budget of budgets.cache.inNamespace(after.metadata.namespace)) enqueue(keyOf(budget))
        })
      }
    },
    async sync(key) {
      const budget = budgets.cache.get(key)
      if (budget === undefined || isDeleting(budget)) return undefined
      const selected = pods.cache
        .inNamespace(budget.metadata.namespace)
        .filter((pod) => matches(budget.spec.selector, pod.metadata.labels))
      const { status, lookAgainAt } = planBudget(
        { budget, pods: selected, workloadReplicas: replicasBehind(world, selected) },
        nowMs(),
      )
      await budgets.updateStatus(budget, status)
      return lookAgainAt
    },
  }
}

/** How many pods the workloads ask for that these pods belong to: the Deployment's word counts, not its ReplicaSets'. */
function replicasBehind({ replicaSets, deployments }: World, pods: readonly Pod[]): number {
  const sizes = new Map<string, number>()
  for (const pod of pods) {
    const controller = controllerOf(pod)
    if (controller?.kind !== 'ReplicaSet') continue
    const replicaSet = replicaSets.cache.get(keyIn(pod.metadata.namespace, controller.name))
    if (replicaSet === undefined) continue
    const owner = controllerOf(replicaSet)
    const deployment =
      owner === undefined ? undefined : deployments.cache.get(keyIn(pod.metadata.namespace, owner.name))
    const workload = deployment ?? replicaSet
    sizes.set(workload.metadata.uid, workload.spec.replicas ?? 1)
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
