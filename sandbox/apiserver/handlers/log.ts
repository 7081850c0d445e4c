import type { Cluster } from '../cluster.ts'
import type { ApiRequest, Reply } from '../http/api-request.ts'
import { objectsAt, stringAt, textOf, type KubeObject } from '../json.ts'
import { ApiError, badRequest, notFound } from '../status.ts'
import { isTrue } from './watch.ts'

/** A pod's log, from the kubelet part. */
export function log(cluster: Cluster, request: ApiRequest): Reply {
  const pod = cluster.store.get(request.type.shelf, request)
  if (!pod) throw notFound(request.type, request.name)
  const container = containerOf(pod, request.query.get('container') ?? undefined)
  if (!stringAt(pod, 'spec', 'nodeName')) throw badRequest(`pod ${request.name} does not have a host assigned`)
  const waiting = waitingReason(pod, container)
  if (waiting && !isTrue(request.query.get('previous'))) {
    throw badRequest(
      `container ${JSON.stringify(container)} in pod ${JSON.stringify(request.name)} is waiting to start: ${waiting}`,
    )
  }
  if (!cluster.podLogs) throw new ApiError(501, 'NotImplemented', 'this API server was started without podLogs')
  const { query, signal } = request
  const chunks = cluster.podLogs(request.namespace, request.name, {
    container,
    follow: isTrue(query.get('follow')),
    previous: isTrue(query.get('previous')),
    timestamps: isTrue(query.get('timestamps')),
    tailLines: numberOf(query, 'tailLines'),
    sinceSeconds: numberOf(query, 'sinceSeconds'),
    limitBytes: numberOf(query, 'limitBytes'),
    signal,
  })
  return { kind: 'stream', contentType: 'text/plain', chunks }
}

function containerOf(pod: KubeObject, wanted: string | undefined): string {
  const containers = objectsAt(pod, 'spec', 'containers').map((each) => textOf(each['name']))
  const inits = objectsAt(pod, 'spec', 'initContainers').map((each) => textOf(each['name']))
  if (wanted) {
    if ([...containers, ...inits].includes(wanted)) return wanted
    throw badRequest(`container ${wanted} is not valid for pod ${pod.metadata.name}`)
  }
  const [only, ...others] = containers
  if (only !== undefined && others.length === 0) return only
  const choices = `choose one of: [${containers.join(' ')}]${inits.length > 0 ? ` or one of the init containers: [${inits.join(' ')}]` : ''}`
  throw badRequest(`a container name must be specified for pod ${pod.metadata.name}, ${choices}`)
}

function waitingReason(pod: KubeObject, container: string): string | undefined {
  const statuses = [
    ...objectsAt(pod, 'status', 'containerStatuses'),
    ...objectsAt(pod, 'status', 'initContainerStatuses'),
  ]
  const status = statuses.find((each) => each['name'] === container)
  if (stringAt(status, 'lastState', 'terminated', 'containerID') || (status?.['restartCount'] ?? 0) !== 0)
    return undefined
  return stringAt(status, 'state', 'waiting', 'reason')
}

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^[0-9]+$/.test(text)) throw badRequest(`invalid ${name}: ${JSON.stringify(text)}`)
  return Number(text)
}
