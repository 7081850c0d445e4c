import type {
  Container,
  Endpoint,
  EndpointPort,
  EndpointSlice,
  NewObject,
  Pod,
  Service,
  ServicePort,
} from '../objects.ts'
import { canonical, sameMeaning } from '../canonical.ts'
import { controllerReference } from '../ownership.ts'
import { isDeleting, isReady, isTerminal } from '../pod-state.ts'
import { matchesAll } from '../selector.ts'

export const SERVICE_NAME = 'kubernetes.io/service-name'
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'
export const MANAGER = 'endpointslice-controller.k8s.io'
const HEADLESS = 'service.kubernetes.io/headless'
const MAX_ENDPOINTS = 100

export interface EndpointSlicePlan {
  readonly create: readonly NewObject<EndpointSlice>[]
  readonly update: readonly EndpointSlice[]
  readonly remove: readonly EndpointSlice[]
}

export interface ServiceObservation {
  readonly service: Service
  /** The namespace's pods; those that the selector does not match are passed over. */
  readonly pods: readonly Pod[]
  /** The slices of this Service that this controller made before. */
  readonly slices: readonly EndpointSlice[]
}

/** Only a Service with a selector gets slices from here; others have theirs from people, and an ExternalName has none. */
export function selectsPods(service: Service): boolean {
  return service.spec.type !== 'ExternalName' && Object.keys(service.spec.selector ?? {}).length > 0
}

/**
 * The slices of a Service: one group per set of resolved ports (a named port may mean another number in another pod), at most 100
 * endpoints each; a Service without pods keeps one empty slice. An endpoint stays in the slice it is in.
 */
export function planEndpointSlices({ service, pods, slices }: ServiceObservation): EndpointSlicePlan {
  const selector = service.spec.selector ?? {}
  const backing = pods.filter((pod) => matchesAll(selector, pod.metadata.labels) && belongs(pod))
  const groups = groupByPorts(service, backing)
  if (groups.size === 0) groups.set(canonical([]), { ports: [], endpoints: [] })
  const wanted: NewObject<EndpointSlice>[] = []
  const kept = new Map<EndpointSlice, NewObject<EndpointSlice>>()
  for (const [key, group] of groups) {
    const existing = slices.filter((slice) => canonical(slice.ports ?? []) === key)
    chunked(group.endpoints, existing).forEach((endpoints, index) => {
      const current = existing[index]
      const slice = newSlice(service, group.ports, endpoints)
      if (current === undefined) wanted.push(slice)
      else kept.set(current, slice)
    })
  }
  const spare = slices.filter((slice) => !kept.has(slice))
  // A slice that would go is turned into one that would come, so that a watcher never sees the Service without any.
  for (const slice of spare.splice(0, wanted.length)) {
    const next = wanted.shift()
    if (next !== undefined) kept.set(slice, next)
  }
  const update = [...kept]
    .map(([current, next]) => merged(current, next))
    .filter((next, index) => !sameMeaning(next, [...kept.keys()][index]))
  return { create: wanted, update, remove: spare }
}

/** A pod that has an address and has not finished; one that is being deleted stays in, marked terminating. */
function belongs(pod: Pod): boolean {
  return !isTerminal(pod) && addressOf(pod) !== undefined
}

function addressOf(pod: Pod): string | undefined {
  const address = pod.status?.podIP ?? pod.status?.podIPs?.[0]?.ip
  return address === '' ? undefined : address
}

interface Group {
  readonly ports: EndpointPort[]
  readonly endpoints: Endpoint[]
}

function groupByPorts(service: Service, pods: readonly Pod[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const pod of pods) {
    const ports = portsFor(service, pod)
    const key = canonical(ports)
    const group = groups.get(key) ?? { ports, endpoints: [] }
    group.endpoints.push(endpointOf(service, pod))
    groups.set(key, group)
  }
  return groups
}

function endpointOf(service: Service, pod: Pod): Endpoint {
  const serving = isReady(pod)
  const terminating = isDeleting(pod)
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating)
  const { name, namespace = '', uid } = pod.metadata
  const inSubdomain = pod.spec.subdomain === service.metadata.name
  return {
    addresses: [addressOf(pod) ?? ''],
    conditions: { ready, serving, terminating },
    ...(pod.spec.hostname !== undefined && inSubdomain ? { hostname: pod.spec.hostname } : {}),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  }
}

/** The Service's ports as numbers of this pod; a named port that the pod does not have is left out. */
function portsFor(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((servicePort) => {
    const port = portNumber(servicePort, pod)
    if (port === undefined) return []
    const { name = '', protocol = 'TCP', appProtocol } = servicePort
    return [{ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }]
  })
}

function portNumber(servicePort: ServicePort, pod: Pod): number | undefined {
  const target = servicePort.targetPort ?? servicePort.port
  if (typeof target === 'number') return target === 0 ? servicePort.port : target
  const protocol = servicePort.protocol ?? 'TCP'
  const containers: Container[] = [
    ...(pod.spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always'),
    ...pod.spec.containers,
  ]
  const ports = containers.flatMap((container) => container.ports ?? [])
  return ports.find((port) => port.name === target && (port.protocol ?? 'TCP') === protocol)?.containerPort
}

/** Splits endpoints over slices; those that a slice holds already stay there, so that a change touches as few slices as it can. */
function chunked(endpoints: readonly Endpoint[], existing: readonly EndpointSlice[]): Endpoint[][] {
  const left = new Map(endpoints.map((endpoint) => [endpoint.targetRef?.uid ?? '', endpoint]))
  const chunks = existing.map((slice) => {
    const chunk: Endpoint[] = []
    for (const { targetRef } of slice.endpoints ?? []) {
      const endpoint = left.get(targetRef?.uid ?? '')
      if (endpoint === undefined) continue
      chunk.push(endpoint)
      left.delete(targetRef?.uid ?? '')
    }
    return chunk
  })
  for (const endpoint of left.values()) {
    const open = chunks.find((chunk) => chunk.length < MAX_ENDPOINTS)
    if (open === undefined) chunks.push([endpoint])
    else open.push(endpoint)
  }
  return chunks.length === 0 ? [[]] : withoutEmptyTail(chunks)
}

/** Drops empty chunks at the end; one in front keeps its place, since chunks and slices are matched by position. */
function withoutEmptyTail(chunks: Endpoint[][]): Endpoint[][] {
  const last = chunks.findLastIndex((chunk) => chunk.length > 0)
  return chunks.slice(0, Math.max(1, last + 1))
}

function newSlice(
  service: Service,
  ports: readonly EndpointPort[],
  endpoints: readonly Endpoint[],
): NewObject<EndpointSlice> {
  const { name, namespace } = service.metadata
  const isHeadless = service.spec.clusterIP === 'None'
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: {
        ...service.metadata.labels,
        ...(isHeadless ? { [HEADLESS]: '' } : {}),
        [SERVICE_NAME]: name,
        [MANAGED_BY]: MANAGER,
      },
      ownerReferences: [controllerReference(service, { apiVersion: 'v1', kind: 'Service' })],
    },
    addressType: 'IPv4',
    endpoints: [...endpoints],
    ports: [...ports],
  }
}

function merged(current: EndpointSlice, wanted: NewObject<EndpointSlice>): EndpointSlice {
  const labels = wanted.metadata.labels ?? {}
  return {
    ...current,
    metadata: { ...current.metadata, labels },
    endpoints: wanted.endpoints,
    ports: wanted.ports ?? [],
  }
}
