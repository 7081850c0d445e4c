import { ApiError } from '../../../operator/kube/errors.ts'
import { keyOf } from '../cache.ts'
import { claimObjects, concernedOwners, type Owners } from '../claiming.ts'
import type { Controller } from '../controller.ts'
import type { Condition, Pod, ReplicaSet } from '../objects.ts'
import { controllerOf } from '../ownership.ts'
import { createPods, podFrom } from '../pod-creation.ts'
import { isActive } from '../pod-state.ts'
import { isEmptySelector, matches } from '../selector.ts'
import { timestamp } from '../timestamps.ts'
import type { World } from '../world.ts'
import { planReplicas, replicaSetStatus, type ReplicaSetPlan } from './plan.ts'

const REPLICA_SET = { apiVersion: 'apps/v1', kind: 'ReplicaSet' }

/** Keeps as many pods as each ReplicaSet asks for, and counts them in its status. */
export function replicaSetController(world: World): Controller {
  const { pods, replicaSets } = world
  const owners: Owners<ReplicaSet, Pod> = { kind: 'ReplicaSet', cache: replicaSets.cache, selects }
  return {
    name: 'replicaset',
    watch(enqueue) {
      replicaSets.cache.subscribeKeys(enqueue)
      pods.cache.subscribe((change) => {
        for (const key of concernedOwners(owners, change)) enqueue(key)
      })
    },
    async sync(key) {
      const replicaSet = replicaSets.cache.get(key)
      return replicaSet === undefined || isEmptySelector(replicaSet.spec.selector)
        ? undefined
        : syncReplicaSet(world, replicaSet)
    },
  }
}

function selects(replicaSet: ReplicaSet, pod: Pod): boolean {
  return matches(replicaSet.spec.selector, pod.metadata.labels)
}

async function syncReplicaSet(world: World, replicaSet: ReplicaSet): Promise<number | undefined> {
  const { pods, replicaSets, nowMs } = world
  const matching = (pod: Pod): boolean => matches(replicaSet.spec.selector, pod.metadata.labels)
  await claimObjects(replicaSet, REPLICA_SET, {
    collection: pods,
    matches: matching,
    isLeftAlone: (pod) => !isActive(pod),
  })
  const owned = ownedPods(world, replicaSet)
  const relatedPods = siblingsOf(world, replicaSet).flatMap((sibling) => ownedPods(world, sibling).filter(isActive))
  const plan = planReplicas({ replicaSet, pods: owned, relatedPods }, nowMs())
  const refusal = await carryOut(world, replicaSet, plan)
  const current = replicaSets.cache.get(keyOf(replicaSet))
  if (current?.metadata.uid !== replicaSet.metadata.uid) return undefined
  const failure = refusal === undefined ? undefined : failureCondition(refusal, plan, nowMs())
  await replicaSets.updateStatus(current, replicaSetStatus(current, ownedPods(world, current), failure, nowMs()))
  if (refusal !== undefined) throw refusal
  return plan.lookAgainAt
}

function ownedPods({ pods }: World, replicaSet: ReplicaSet): Pod[] {
  return pods.cache.controlledBy(replicaSet.metadata.uid)
}

/** The ReplicaSets of the same Deployment, itself included. */
function siblingsOf({ replicaSets }: World, replicaSet: ReplicaSet): ReplicaSet[] {
  const controller = controllerOf(replicaSet)
  return controller === undefined ? [replicaSet] : replicaSets.cache.controlledBy(controller.uid)
}

/** @returns what the API server refused. */
async function carryOut({ pods }: World, replicaSet: ReplicaSet, plan: ReplicaSetPlan): Promise<ApiError | undefined> {
  try {
    await createPods(pods, podFrom(replicaSet.spec.template, replicaSet, REPLICA_SET), plan.create)
    await Promise.all(plan.remove.map((pod) => pods.remove(pod)))
    return undefined
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}

function failureCondition(refusal: ApiError, plan: ReplicaSetPlan, nowMs: number): Condition {
  const reason = plan.create > 0 ? 'FailedCreate' : 'FailedDelete'
  return {
    type: 'ReplicaFailure',
    status: 'True',
    reason,
    message: refusal.message,
    lastTransitionTime: timestamp(nowMs),
  }
}
