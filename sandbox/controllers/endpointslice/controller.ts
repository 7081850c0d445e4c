import { keyIn, keyOf } from '../cache.ts'
import type { Controller } from '../controller.ts'
import { matchesAll } from '../selector.ts'
import type { World } from '../world.ts'
import { isDeleting } from '../pod-state.ts'
import { MANAGED_BY, MANAGER, planEndpointSlices, selectsPods, SERVICE_NAME } from './plan.ts'

/** Lists each Service's pods, with their state, for the proxies. Slices of a Service that is gone are left to garbage collection. */
export function endpointSliceController(world: World): Controller {
  const { services, pods, endpointSlices } = world
  return {
    name: 'endpointslice',
    watch(enqueue) {
      services.cache.subscribe(({ after }) => {
        if (after !== undefined) enqueue(keyOf(after))
      })
      pods.cache.subscribe(({ before, after }) => {
        const states = [before, after].filter((state) => state !== undefined)
        for (const service of services.cache.inNamespace(states[0]?.metadata.namespace)) {
          const selector = service.spec.selector ?? {}
          if (states.some((pod) => matchesAll(selector, pod.metadata.labels))) enqueue(keyOf(service))
        }
      })
      endpointSlices.cache.subscribe(({ before, after }) => {
        const slice = after ?? before
        const service = slice?.metadata.labels?.[SERVICE_NAME]
        if (slice !== undefined && service !== undefined) enqueue(keyIn(slice.metadata.namespace, service))
      })
    },
    async sync(key) {
      const service = services.cache.get(key)
      if (service === undefined || isDeleting(service) || !selectsPods(service)) return undefined
      const { namespace, name } = service.metadata
      const slices = endpointSlices.cache
        .inNamespace(namespace)
        .filter(({ metadata: { labels } }) => labels?.[SERVICE_NAME] === name && labels[MANAGED_BY] === MANAGER)
      const plan = planEndpointSlices({
        service,
        pods: pods.cache.inNamespace(namespace),
        slices: slices.filter((slice) => !isDeleting(slice)),
      })
      for (const slice of plan.create) await endpointSlices.create(slice)
      for (const slice of plan.update) await endpointSlices.update(slice)
      for (const slice of plan.remove) await endpointSlices.remove(slice)
      return undefined
    },
  }
}
