import type { Cluster } from '../cluster.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { objectsAt, stringAt, type JsonObject, type KubeObject } from '../json.ts'
import { badRequest, conflict, notFound } from '../status.ts'

/** What a scheduler writes: puts a pod on a node, once, and notes that it is scheduled. */
export function bind(cluster: Cluster, request: ApiRequest): Reply {
  const { type } = request
  const pod = cluster.store.get(type.shelf, request)
  if (!pod) throw notFound(type, request.name)
  const binding = parseObject(request.body, request.mediaType)
  const node = stringAt(binding, 'target', 'name')
  if (!node) throw badRequest('target.name: Required value')
  const uid = stringAt(binding, 'metadata', 'uid')
  if (uid && uid !== pod.metadata['uid'])
    throw conflict(type, request.name, 'the UID in the precondition does not match the UID in record')
  const assigned = stringAt(pod, 'spec', 'nodeName')
  if (assigned) throw conflict(type, request.name, `pod ${request.name} is already assigned to node "${assigned}"`)
  if (pod.metadata['deletionTimestamp'] !== undefined)
    throw conflict(type, request.name, `pod ${request.name} is being deleted, cannot be assigned to a host`)
  cluster.store.put(type.shelf, scheduled(pod, node, new Date(cluster.clock()).toISOString().replace(/\.\d+Z$/, 'Z')))
  return answer({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

function scheduled(pod: KubeObject, nodeName: string, now: string): KubeObject {
  const status = (pod['status'] ?? {}) as JsonObject
  const others = objectsAt(status, 'conditions').filter((each) => each['type'] !== 'PodScheduled')
  const condition = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now }
  return {
    ...pod,
    spec: { ...(pod['spec'] as JsonObject), nodeName },
    status: { ...status, conditions: [...others, condition] },
  }
}
