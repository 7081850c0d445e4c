import type { Cluster } from '../cluster.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { isObject, listAt, numberAt, objectAt, stringAt, type KubeObject } from '../json.ts'
import { matchesLabelSelector } from '../selectors/label-selector.ts'
import { ApiError, notFound } from '../status.ts'
import { deleteOptionsOf, removeObject } from './delete.ts'

/** Deletes a pod unless a PodDisruptionBudget that selects it allows no more disruptions (429 then). */
export function evict(cluster: Cluster, request: ApiRequest): Reply {
  const pod = cluster.store.get(request.type.shelf, request)
  if (!pod) throw notFound(request.type, request.name)
  const eviction = parseObject(request.body, request.mediaType)
  const options = eviction['deleteOptions']
  const body = Buffer.from(JSON.stringify(isObject(options) ? options : {}))
  const deletion = deleteOptionsOf({ ...request, body, mediaType: 'application/json' })
  const budgets = cluster.store.list('policy/poddisruptionbudgets', request.namespace)
  const holding = budgets.filter((budget) =>
    matchesLabelSelector(objectAt(budget, 'spec', 'selector'), objectAt(pod, 'metadata', 'labels') ?? {}),
  )
  if (needsBudget(pod)) for (const budget of holding) takeFrom(cluster, budget, pod, deletion.dryRun)
  removeObject(cluster, request.type, pod, deletion)
  return answer({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

/** A pod that does not run, or goes already, disrupts nobody by going. */
function needsBudget(pod: KubeObject): boolean {
  const phase = stringAt(pod, 'status', 'phase')
  if (phase === 'Succeeded' || phase === 'Failed' || phase === 'Pending') return false
  return pod.metadata['deletionTimestamp'] === undefined
}

function takeFrom(cluster: Cluster, budget: KubeObject, pod: KubeObject, dryRun: boolean): void {
  const allowed = numberAt(budget, 'status', 'disruptionsAllowed') ?? 0
  const ready = listAt(pod, 'status', 'conditions').some(
    (each) => stringAt(each, 'type') === 'Ready' && stringAt(each, 'status') === 'True',
  )
  if (!ready && stringAt(budget, 'spec', 'unhealthyPodEvictionPolicy') === 'AlwaysAllow') return
  if (allowed <= 0) throw disruptionRefused(budget)
  if (dryRun) return
  const status = objectAt(budget, 'status') ?? {}
  cluster.store.put('policy/poddisruptionbudgets', {
    ...budget,
    status: { ...status, disruptionsAllowed: allowed - 1 },
  })
}

function disruptionRefused(budget: KubeObject): ApiError {
  const { name } = budget.metadata
  const healthy = numberAt(budget, 'status', 'currentHealthy') ?? 0
  const desired = numberAt(budget, 'status', 'desiredHealthy') ?? 0
  return new ApiError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [
      {
        reason: 'DisruptionBudget',
        message: `The disruption budget ${name} needs ${desired} healthy pods and has ${healthy} currently`,
      },
    ],
  })
}
