/** What the API serves, as clients discover it: the old lists and the aggregated form (KEP-3352). */
import { createHash } from 'node:crypto'
import type { Json, JsonObject } from '../json.ts'
import type { ResourceCatalog } from '../kinds/catalog.ts'
import { apiVersionOf, type ResourceType, type Subresource } from '../kinds/resource-type.ts'

const SUBRESOURCE_VERBS: Readonly<Record<Subresource, readonly string[]>> = {
  status: ['get', 'patch', 'update'],
  scale: ['get', 'patch', 'update'],
  log: ['get'],
  eviction: ['create'],
  binding: ['create'],
  finalize: ['update'],
  token: ['create'],
}

/** The kind that a subresource speaks, where it is not the resource's own. */
const SUBRESOURCE_KINDS: Partial<Record<Subresource, { group: string; version: string; kind: string }>> = {
  scale: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  eviction: { group: 'policy', version: 'v1', kind: 'Eviction' },
  token: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
  binding: { group: '', version: 'v1', kind: 'Binding' },
}

/** GET /api */
export function coreVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  }
}

/** GET /apis */
export function groupList(catalog: ResourceCatalog): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames(catalog).map((group) => groupOf(catalog, group)) }
}

/** GET /apis/GROUP; undefined when there is no such group. */
export function group(catalog: ResourceCatalog, name: string): JsonObject | undefined {
  if (!groupNames(catalog).includes(name)) return undefined
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(catalog, name) }
}

function groupNames(catalog: ResourceCatalog): string[] {
  return [...new Set(catalog.all().map((type) => type.group))].filter(Boolean)
}

function versionsOf(catalog: ResourceCatalog, name: string): string[] {
  return [
    ...new Set(
      catalog
        .all()
        .filter((type) => type.group === name)
        .map((type) => type.version),
    ),
  ]
}

function groupOf(catalog: ResourceCatalog, name: string): JsonObject {
  const versions = versionsOf(catalog, name).map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions, preferredVersion: versions[0] ?? {} }
}

/** GET /api/v1 or /apis/GROUP/VERSION; undefined when nothing is served there. */
export function resourceList(catalog: ResourceCatalog, groupName: string, version: string): JsonObject | undefined {
  const types = catalog.all().filter((type) => type.group === groupName && type.version === version)
  if (types.length === 0) return undefined
  const groupVersion = groupName ? `${groupName}/${version}` : version
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: types.flatMap(resourceEntries) }
}

function resourceEntries(type: ResourceType): JsonObject[] {
  const own: JsonObject = {
    name: type.plural,
    singularName: type.singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs: [...type.verbs],
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
    storageVersionHash: createHash('sha256').update(`${type.shelf}/${type.version}`).digest('base64').slice(0, 12),
  }
  const below = [...type.subresources].map((subresource): JsonObject => {
    const other = SUBRESOURCE_KINDS[subresource]
    return {
      name: `${type.plural}/${subresource}`,
      singularName: '',
      namespaced: type.namespaced,
      ...(other?.group ? { group: other.group } : {}),
      ...(other ? { version: other.version } : {}),
      kind: other?.kind ?? type.kind,
      verbs: [...SUBRESOURCE_VERBS[subresource]],
    }
  })
  return [own, ...below]
}

/** GET /api or /apis with `as=APIGroupDiscoveryList`. */
export function aggregatedDiscovery(
  catalog: ResourceCatalog,
  root: 'api' | 'apis',
  discoveryVersion: string,
): JsonObject {
  const names = root === 'api' ? [''] : groupNames(catalog)
  const items = names.map((name): JsonObject => {
    const versions = versionsOf(catalog, name).map((version): JsonObject => {
      const types = catalog.all().filter((type) => type.group === name && type.version === version)
      return { version, resources: types.map(aggregatedEntry), freshness: 'Current' }
    })
    return { metadata: name ? { name, creationTimestamp: null } : { creationTimestamp: null }, versions }
  })
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${discoveryVersion}`, metadata: {}, items }
}

function aggregatedEntry(type: ResourceType): JsonObject {
  const subresources = [...type.subresources].map((subresource): JsonObject => {
    const kind = SUBRESOURCE_KINDS[subresource] ?? { group: type.group, version: type.version, kind: type.kind }
    return { subresource, responseKind: kind, verbs: [...SUBRESOURCE_VERBS[subresource]] }
  })
  const lists: Record<string, Json> = {}
  if (type.shortNames.length > 0) lists['shortNames'] = [...type.shortNames]
  if (type.categories.length > 0) lists['categories'] = [...type.categories]
  return {
    resource: type.plural,
    responseKind: { group: type.group, version: type.version, kind: type.kind },
    scope: type.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: [...type.verbs],
    ...lists,
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}

/** The group and version of every API that is served, e.g. `apps/v1`. */
export function groupVersions(catalog: ResourceCatalog): string[] {
  return [...new Set(catalog.all().map(apiVersionOf))]
}
