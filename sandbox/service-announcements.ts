import { createClient } from '../operator/kube/client.ts'
import { loadKubeConfig } from '../operator/kube/kubeconfig.ts'
import { createReflector } from '../operator/kube/reflector.ts'
import { ENDPOINT_SLICE, readAs, SERVICE } from '../operator/kube/resources.ts'
import { createTransport } from '../operator/kube/transport.ts'
import type { EndpointSlice, Service } from './controllers/objects.ts'

const SERVICE_NAME = 'kubernetes.io/service-name'
const OF_THE_API_SERVER = 'default/kubernetes'

/** Tells when a Service begins or ceases to have a ready pod behind it, with the address to ask. The returned function ends it. */
export async function announceServices(
  kubeconfigPath: string,
  say: (line: string) => void,
): Promise<() => Promise<void>> {
  const transport = createTransport(loadKubeConfig({ path: kubeconfigPath }))
  const client = createClient(transport)
  const services = createReflector({ client, resource: readAs<Service>(SERVICE) })
  const slices = createReflector({ client, resource: readAs<EndpointSlice>(ENDPOINT_SLICE) })
  const announced = new Set<string>()
  const look = (): void => {
    const ready = new Map(readyServices(services.store.list(), slices.store.list()))
    for (const [name, url] of ready) if (!announced.has(name)) say(`Service ${name} is ready:  curl ${url}`)
    for (const name of announced) if (!ready.has(name)) say(`Service ${name} has no ready pod`)
    announced.clear()
    for (const name of ready.keys()) announced.add(name)
  }
  services.start()
  slices.start()
  await Promise.all([services.synced, slices.synced])
  services.store.subscribe(look)
  slices.store.subscribe(look)
  return async () => {
    await Promise.all([services.stop(), slices.stop()])
    transport.close()
  }
}

function readyServices(services: readonly Service[], slices: readonly EndpointSlice[]): [name: string, url: string][] {
  return services.flatMap((service): [string, string][] => {
    const { namespace = '', name } = service.metadata
    const own = slices.filter(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME] === name,
    )
    const isReady = own.some((slice) => slice.endpoints?.some((endpoint) => endpoint.conditions?.ready === true))
    const { clusterIP, ports } = service.spec
    const [port] = ports ?? []
    const hasAddress = clusterIP !== undefined && clusterIP !== 'None' && port !== undefined
    if (!isReady || !hasAddress || `${namespace}/${name}` === OF_THE_API_SERVER) return []
    return [[`${namespace}/${name}`, `http://${clusterIP}:${port.port}/`]]
  })
}
