import type { Client } from '../../operator/kube/client.ts'
import type { Resource } from '../../operator/kube/resource.ts'
import { resource } from '../../operator/kube/resources.ts'

interface ResourceList {
  readonly resources?: readonly { name: string; kind: string; namespaced: boolean; verbs?: readonly string[] }[]
}

interface GroupList {
  readonly groups?: readonly {
    name: string
    preferredVersion?: { groupVersion: string }
    versions: readonly { groupVersion: string }[]
  }[]
}

/** The resources that an API server serves now and whose objects can be listed, watched and deleted: each group in its preferred version. */
export async function discoverResources(client: Client): Promise<Resource[]> {
  const { groups = [] } = ((await client.raw({ method: 'GET', path: '/apis' })) ?? {}) as GroupList
  const versions = groups.map((group) => group.preferredVersion?.groupVersion ?? group.versions[0]?.groupVersion)
  const lists = await Promise.all(
    ['v1', ...versions].filter((version) => version !== undefined).map((version) => resourcesOf(client, version)),
  )
  return lists.flat()
}

/** The resources of one group and version that are objects of their own; subresources are left out. */
async function resourcesOf(client: Client, groupVersion: string): Promise<Resource[]> {
  const { resources = [] } = await resourceList(client, groupVersion)
  return resources
    .filter(
      ({ name, verbs = [] }) =>
        !name.includes('/') && ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb)),
    )
    .map(({ name, kind, namespaced }) => resource(groupVersion, kind, name, namespaced ? 'Namespaced' : 'Cluster'))
}

/** The resource that a reference by apiVersion and kind means; undefined when the API server serves no such kind. */
export async function resourceOfKind(client: Client, apiVersion: string, kind: string): Promise<Resource | undefined> {
  const { resources = [] } = await resourceList(client, apiVersion)
  const found = resources.find((one) => one.kind === kind && !one.name.includes('/'))
  return found === undefined
    ? undefined
    : resource(apiVersion, kind, found.name, found.namespaced ? 'Namespaced' : 'Cluster')
}

async function resourceList(client: Client, groupVersion: string): Promise<ResourceList> {
  const path = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`
  return ((await client.raw({ method: 'GET', path })) ?? {}) satisfies ResourceList
}
