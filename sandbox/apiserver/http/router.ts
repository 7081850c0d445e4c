/** From a request to its reply: the resource API, discovery and health. Knows nothing of sockets. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Cluster } from '../cluster.ts'
import { aggregatedDiscovery, coreVersions, group, groupList, resourceList } from '../discovery/discovery.ts'
import { bind } from '../handlers/binding.ts'
import { remove, removeCollection } from '../handlers/delete.ts'
import { evict } from '../handlers/eviction.ts'
import { log } from '../handlers/log.ts'
import { patch } from '../handlers/patch.ts'
import { get, list, type ListPages } from '../handlers/read.ts'
import { scale } from '../handlers/scale.ts'
import { isTrue, watch, type WatchSession } from '../handlers/watch.ts'
import { create, update } from '../handlers/write.ts'
import type { JsonObject } from '../json.ts'
import type { ResourceType, Subresource } from '../kinds/resource-type.ts'
import { forbidden, methodNotAllowed } from '../status.ts'
import { aggregatedDiscoveryVersion } from './accept.ts'
import { answer, type ApiRequest, type Reply, type Verb } from './api-request.ts'
import { parseResourcePath } from './resource-path.ts'

export type Routed =
  | { readonly kind: 'reply'; readonly reply: Reply; readonly type?: ResourceType }
  | { readonly kind: 'watch'; readonly session: WatchSession; readonly type: ResourceType }
  | { readonly kind: 'text'; readonly code: number; readonly text: string }

export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly user: string
  readonly body: Buffer
  readonly mediaType: string
  readonly signal: AbortSignal
  readonly warn: (warning: string) => void
}

/** What a request is about, for audit and fault injection; known before anything is done. */
export interface Target {
  readonly verb: Verb | 'other'
  readonly type: ResourceType | undefined
  readonly namespace: string
  readonly name: string
  readonly subresource: string
}

const ANONYMOUS = 'system:anonymous'
const PUBLIC_PATHS = /^\/(livez|readyz|healthz|version)(\/|$)/
const NOT_FOUND: Routed = { kind: 'text', code: 404, text: '404 page not found\n' }

export function targetOf(cluster: Cluster, raw: Pick<RawRequest, 'method' | 'path' | 'query'>): Target {
  const path = parseResourcePath(raw.path)
  const type = path && cluster.catalog.find(path.group, path.version, path.plural)
  if (!path || !type) return { verb: 'other', type: undefined, namespace: '', name: '', subresource: '' }
  const verb = verbOf(raw.method, path.name, isTrue(raw.query.get('watch'))) ?? 'other'
  return { verb, type, namespace: path.namespace, name: path.name, subresource: path.subresource }
}

/** What a request does to a resource, as RequestInfo of k8s.io/apiserver names it; undefined for no verb of the resource API. */
export function verbOf(method: string, name: string, watching: boolean): Verb | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (watching) return 'watch'
      return name ? 'get' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return name ? 'delete' : 'deletecollection'
    default:
      return undefined
  }
}

type Handler = (cluster: Cluster, request: ApiRequest) => Reply

const SUBRESOURCES: Readonly<Record<Subresource, Partial<Record<Verb, Handler>>>> = {
  status: { get, update, patch },
  scale: { get: scale, update: scale, patch: scale },
  log: { get: log },
  finalize: { update },
  eviction: { create: evict },
  binding: { create: bind },
  token: {},
}

export class Router {
  readonly #cluster: Cluster
  readonly #pages: ListPages
  readonly #version: JsonObject
  readonly #openApi: (path: string) => JsonObject | undefined

  constructor(
    cluster: Cluster,
    pages: ListPages,
    version: JsonObject,
    openApi: (path: string) => JsonObject | undefined,
  ) {
    this.#cluster = cluster
    this.#pages = pages
    this.#version = version
    this.#openApi = openApi
  }

  /** Does what a request asks. Throws ApiError. */
  route(raw: RawRequest, target: Target): Routed {
    this.#authorize(raw, target)
    if (!target.type) return this.#routeElsewhere(raw)
    if (target.verb === 'other') throw methodNotAllowed()
    const request: ApiRequest = {
      ...raw,
      verb: target.verb,
      type: target.type,
      namespace: target.namespace,
      name: target.name,
      subresource: target.subresource,
    }
    if (request.subresource) return this.#routeSubresource(request)
    if (!request.type.verbs.includes(request.verb)) throw methodNotAllowed()
    if (request.verb === 'watch') return { kind: 'watch', session: watch(this.#cluster, request), type: request.type }
    return { kind: 'reply', reply: this.#handle(request), type: request.type }
  }

  #authorize(raw: RawRequest, target: Target): void {
    if (raw.user !== ANONYMOUS || PUBLIC_PATHS.test(raw.path)) return
    if (!target.type) {
      const why = `User "${ANONYMOUS}" cannot ${raw.method.toLowerCase()} path ${JSON.stringify(raw.path)}`
      throw forbiddenPath(why)
    }
    const where =
      target.type.namespaced && target.namespace
        ? `in the namespace ${JSON.stringify(target.namespace)}`
        : 'at the cluster scope'
    const resource = target.subresource ? `${target.type.plural}/${target.subresource}` : target.type.plural
    const why = `User "${ANONYMOUS}" cannot ${target.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(target.type.group)} ${where}`
    throw forbidden(target.type, target.name, why)
  }

  #handle(request: ApiRequest): Reply {
    const cluster = this.#cluster
    switch (request.verb) {
      case 'get':
        return get(cluster, request)
      case 'list':
      case 'watch':
        return list(cluster, this.#pages, request)
      case 'create':
        if (request.type.namespaced && !request.namespace) throw methodNotAllowed()
        return create(cluster, request)
      case 'update':
        return update(cluster, request)
      case 'patch':
        return patch(cluster, request)
      case 'delete':
        return remove(cluster, request)
      case 'deletecollection':
        return removeCollection(cluster, request)
    }
  }

  #routeSubresource(request: ApiRequest): Routed {
    const { type, verb } = request
    const subresource = request.subresource as Subresource
    if (!type.subresources.has(subresource)) return NOT_FOUND
    const reply = this.#replyOfSubresource(subresource, verb, request)
    if (!reply) throw methodNotAllowed()
    return { kind: 'reply', reply, type: { ...type, columns: type.columns } }
  }

  #replyOfSubresource(subresource: Subresource, verb: Verb, request: ApiRequest): Reply | undefined {
    const handle = SUBRESOURCES[subresource][verb]
    return handle?.(this.#cluster, request)
  }

  #routeElsewhere(raw: RawRequest): Routed {
    if (raw.method !== 'GET' && raw.method !== 'HEAD') return NOT_FOUND
    if (/^\/(livez|readyz|healthz)(\/|$)/.test(raw.path)) return { kind: 'text', code: 200, text: 'ok' }
    const object = this.#document(raw)
    return object ? { kind: 'reply', reply: answer(object) } : NOT_FOUND
  }

  #document(raw: RawRequest): JsonObject | undefined {
    const { catalog } = this.#cluster
    const [root, ...rest] = raw.path.split('/').filter(Boolean)
    if (root === 'version') return this.#version
    if (root === 'openapi') return this.#openApi(raw.path)
    if (root !== 'api' && root !== 'apis') return undefined
    const aggregated = aggregatedDiscoveryVersion(raw.headers.accept)
    if (rest.length === 0 && aggregated) return aggregatedDiscovery(catalog, root, aggregated)
    if (root === 'api')
      return rest.length === 0 ? coreVersions(raw.headers.host ?? '') : resourceList(catalog, '', rest.join('/'))
    const [groupName, version, ...more] = rest
    if (groupName === undefined) return groupList(catalog)
    if (version === undefined) return group(catalog, groupName)
    return more.length === 0 ? resourceList(catalog, groupName, version) : undefined
  }
}

function forbiddenPath(why: string): Error {
  const refused = forbidden({ group: '', plural: '' }, '', why)
  return Object.assign(refused, { message: `forbidden: ${why}`, details: {} })
}
