import type { EndpointSlice, Service } from '../controllers/objects.ts'

/** Where a connection can go. */
export interface Backend {
  readonly host: string
  readonly port: number
}

/** One port that a Service listens on, and who may answer there. */
export interface Frontend {
  readonly namespace: string
  readonly service: string
  readonly host: string
  readonly port: number
  readonly backends: readonly Backend[]
  /** For so long a client's connections go to the same backend; undefined: each goes where it is its turn. */
  readonly affinityMs?: number
}

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'
const DEFAULT_AFFINITY_SECONDS = 10_800

/** What the proxy has to do for a Service: nothing for one without a cluster address, and TCP only. */
export function frontendsOf(service: ProxiedService, slices: readonly EndpointSlice[]): Frontend[] {
  const { clusterIP, type, ports = [], sessionAffinity } = service.spec
  if (clusterIP === undefined || clusterIP === '' || clusterIP === 'None' || type === 'ExternalName') return []
  const seconds = service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS
  return ports
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .map(({ name = '', port }) => ({
      namespace: service.metadata.namespace ?? '',
      service: service.metadata.name,
      host: clusterIP,
      port,
      backends: backendsOf(slices, name),
      ...(sessionAffinity === 'ClientIP' && { affinityMs: seconds * 1000 }),
    }))
}

export interface ProxiedService extends Service {
  spec: Service['spec'] & {
    sessionAffinity?: string
    sessionAffinityConfig?: { clientIP?: { timeoutSeconds?: number } }
  }
}

/** The ready endpoints of a Service port; when there are none, those that still serve while they terminate (KEP-1669). */
export function backendsOf(slices: readonly EndpointSlice[], portName: string): Backend[] {
  const all = slices.flatMap((slice) => {
    const port = slice.ports?.find(({ name = '', protocol = 'TCP' }) => name === portName && protocol === 'TCP')?.port
    if (port === undefined || slice.addressType === 'FQDN') return []
    return (slice.endpoints ?? []).map(({ addresses, conditions = {} }) => ({ host: addresses[0], port, conditions }))
  })
  const ready = all.filter(({ conditions }) => conditions.ready !== false)
  const chosen =
    ready.length > 0
      ? ready
      : all.filter(({ conditions }) => conditions.serving === true && conditions.terminating === true)
  const byAddress = new Map<string, Backend>()
  for (const { host, port } of chosen) if (host !== undefined) byAddress.set(`${host}:${port}`, { host, port })
  return [...byAddress.values()]
}
