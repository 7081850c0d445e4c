import type { Client } from '../../../operator/kube/client.ts'
import { ApiError } from '../../../operator/kube/errors.ts'
import type { ObjectName, Resource } from '../../../operator/kube/resource.ts'
import { resourceOfKind } from '../discovery.ts'
import { parseSelector } from '../selector.ts'
import type { HorizontalPodAutoscaler, ScaleTarget } from './objects.ts'

/** What autoscalers size, known to them only by its `/scale`. */
export interface ScaleTargets {
  read(hpa: HorizontalPodAutoscaler): Promise<ScaleTarget | { readonly unreadable: string }>
  write(hpa: HorizontalPodAutoscaler, replicas: number): Promise<void>
}

export function scaleTargets(client: Client): ScaleTargets {
  /** A kind keeps its resource, so that a look costs no discovery. */
  const resources = new Map<string, Resource>()

  async function locate({ spec, metadata }: HorizontalPodAutoscaler): Promise<[Resource, ObjectName]> {
    const { apiVersion = 'v1', kind, name } = spec.scaleTargetRef
    const key = `${apiVersion}/${kind}`
    const resource = resources.get(key) ?? (await resourceOfKind(client, apiVersion, kind))
    if (resource === undefined) {
      const message = `no matches for kind "${kind}" in group "${apiVersion}"`
      throw new ApiError({ code: 404, reason: 'NotFound', message, causes: [] })
    }
    resources.set(key, resource)
    const { namespace } = metadata
    return [resource, { name, ...(namespace === undefined ? {} : { namespace }) }]
  }

  return {
    async read(hpa) {
      try {
        const scale = await client.getScale(...(await locate(hpa)))
        const text = scale.status?.selector ?? ''
        return { replicas: scale.spec?.replicas ?? 0, selector: text === '' ? undefined : parseSelector(text) }
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        return { unreadable: error.message }
      }
    },
    async write(hpa, replicas) {
      await client.patchScale(...(await locate(hpa)), replicas)
    },
  }
}
