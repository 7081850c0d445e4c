import { timestamp, type Cluster } from '../cluster.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { listAt, objectAt, stringAt, type Json } from '../json.ts'
import { badRequest, conflict, notFound } from '../status.ts'

/** Binds a pod to a node, as a scheduler does: the only way to set spec.nodeName of a pod that exists. */
export function bind(cluster: Cluster, request: ApiRequest): Reply {
  const { store } = cluster
  const pod = store.get(request.type.shelf, request)
  if (!pod) throw notFound(request.type, request.name)
  const binding = parseObject(request.body, request.mediaType)
  if (stringAt(binding, 'metadata', 'name') !== request.name)
    throw badRequest('name in URL does not match name in Binding object')
  const node = stringAt(binding, 'target', 'name')
  if (!node) throw badRequest('binding needs target.name, the name of a node')
  const refused = (why: string) => conflict({ group: '', plural: 'pods/binding' }, request.name, why)
  if (pod.metadata['deletionTimestamp'] !== undefined)
    throw refused(`pod ${request.name} is being deleted, cannot be assigned to a host`)
  const uid = stringAt(binding, 'metadata', 'uid')
  if (uid && uid !== pod.metadata['uid'])
    throw refused(`uid in the precondition (${uid}) is not the pod's; it may have been replaced`)
  const bound = stringAt(pod, 'spec', 'nodeName')
  if (bound) throw refused(`pod ${request.name} is already assigned to node ${JSON.stringify(bound)}`)
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(cluster.clock()),
  }
  const conditions: Json[] = listAt(pod, 'status', 'conditions').filter(
    (each) => stringAt(each, 'type') !== 'PodScheduled',
  )
  store.put(request.type.shelf, {
    ...pod,
    spec: { ...objectAt(pod, 'spec'), nodeName: node },
    status: { ...objectAt(pod, 'status'), conditions: [...conditions, scheduled] },
  })
  return answer({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}
