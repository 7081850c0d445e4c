import { isAlreadyExists, ApiError } from '../../../operator/kube/errors.ts'
import { keyIn } from '../cache.ts'
import { claimObjects, concernedOwners, type Owners } from '../claiming.ts'
import type { Controller } from '../controller.ts'
import type { Deployment, NewObject, ReplicaSet } from '../objects.ts'
import { controllerOf } from '../ownership.ts'
import { isEmptySelector, matches } from '../selector.ts'
import type { World } from '../world.ts'
import { DEPLOYMENT, planDeployment, type DeploymentPlan } from './plan.ts'
import { REVISION, sameTemplate } from './revisions.ts'
import { isRecreate } from './sizing.ts'

/** Rolls each Deployment's pods from one template to the next through ReplicaSets, and tells how far it is. */
export function deploymentController(world: World): Controller {
  const { deployments, replicaSets, pods } = world
  const owners: Owners<Deployment, ReplicaSet> = { kind: 'Deployment', cache: deployments.cache, selects }
  return {
    name: 'deployment',
    watch(enqueue) {
      deployments.cache.subscribeKeys(enqueue)
      replicaSets.cache.subscribe((change) => {
        for (const key of concernedOwners(owners, change)) enqueue(key)
      })
      pods.cache.subscribe(({ before, after }) => {
        // Recreate waits for the last old pod to go; nothing else hangs on a single pod.
        const controller = before !== undefined && after === undefined ? controllerOf(before) : undefined
        if (controller?.kind !== 'ReplicaSet' || before === undefined) return
        const replicaSet = replicaSets.cache.get(keyIn(before.metadata.namespace, controller.name))
        if (replicaSet !== undefined) for (const key of concernedOwners(owners, { after: replicaSet })) enqueue(key)
      })
    },
    async sync(key) {
      const deployment = deployments.cache.get(key)
      return deployment === undefined || isEmptySelector(deployment.spec.selector)
        ? undefined
        : syncDeployment(world, deployment)
    },
  }
}

function selects(deployment: Deployment, replicaSet: ReplicaSet): boolean {
  return matches(deployment.spec.selector, replicaSet.metadata.labels)
}

async function syncDeployment(world: World, deployment: Deployment): Promise<number | undefined> {
  const { pods, replicaSets, nowMs } = world
  const matching = (replicaSet: ReplicaSet): boolean => selects(deployment, replicaSet)
  const owned = await claimObjects(deployment, DEPLOYMENT, { collection: replicaSets, matches: matching })
  const ownedPods = isRecreate(deployment)
    ? owned.flatMap((replicaSet) => pods.cache.controlledBy(replicaSet.metadata.uid))
    : []
  const observation = { deployment, replicaSets: owned, pods: ownedPods }
  const plan = planDeployment(observation, nowMs())
  const { collided, refusal } = plan.create === undefined ? {} : await createReplicaSet(world, deployment, plan.create)
  if (refusal !== undefined) {
    await writeStatus(world, deployment, planDeployment({ ...observation, refusal: refusal.message }, nowMs()))
    throw refusal
  }
  for (const replicaSet of plan.update) await replicaSets.update(replicaSet)
  for (const replicaSet of plan.remove) await replicaSets.remove(replicaSet)
  const status =
    collided === true ? { ...plan.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 } : plan.status
  await writeStatus(world, deployment, { ...plan, status })
  return plan.lookAgainAt
}

interface Creation {
  /** Somebody else's ReplicaSet has the name: the next hash is to be tried. */
  readonly collided?: true
  readonly refusal?: ApiError
}

async function createReplicaSet(
  { replicaSets, client }: World,
  deployment: Deployment,
  wanted: NewObject<ReplicaSet>,
): Promise<Creation> {
  try {
    await replicaSets.create(wanted)
    return {}
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (!isAlreadyExists(error)) return { refusal: error }
    const { name = '', namespace = '' } = wanted.metadata
    const existing = await client.get(replicaSets.resource, { namespace, name })
    replicaSets.cache.absorb(existing)
    const isOurs =
      controllerOf(existing)?.uid === deployment.metadata.uid &&
      sameTemplate(existing.spec.template, wanted.spec.template)
    return isOurs ? {} : { collided: true }
  }
}

async function writeStatus({ deployments }: World, deployment: Deployment, plan: DeploymentPlan): Promise<void> {
  const { metadata } = deployment
  const annotations =
    plan.revision === undefined ? metadata.annotations : { ...metadata.annotations, [REVISION]: String(plan.revision) }
  await deployments.updateStatus(deployment, plan.status, {
    ...metadata,
    ...(annotations === undefined ? {} : { annotations }),
  })
}
