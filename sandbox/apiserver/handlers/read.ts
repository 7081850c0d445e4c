import type { Cluster } from '../cluster.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import type { JsonObject, KubeObject } from '../json.ts'
import { apiVersionOf } from '../kinds/resource-type.ts'
import { ApiError, badRequest, expired, notFound } from '../status.ts'
import { placeOf } from '../store.ts'
import { selectionOf, served } from './selection.ts'

const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

export function get(cluster: Cluster, request: ApiRequest): Reply {
  const stored = cluster.store.get(request.type.shelf, request)
  if (!stored) throw notFound(request.type, request.name)
  checkNotInFuture(cluster, request.query.get('resourceVersion') ?? '')
  return answer(served(request, stored))
}

interface Page {
  readonly version: number
  readonly objects: readonly KubeObject[]
  readonly from: number
}

/** Snapshots of lists that clients read in pages, so that every page shows the same version. Bounded: the oldest goes first. */
export class ListPages {
  readonly #snapshots = new Map<string, { version: number; objects: readonly KubeObject[] }>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  keep(key: string, version: number, objects: readonly KubeObject[]): void {
    this.#snapshots.set(key, { version, objects })
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= this.#limit) break
      this.#snapshots.delete(oldest)
    }
  }

  find(key: string): { version: number; objects: readonly KubeObject[] } | undefined {
    return this.#snapshots.get(key)
  }

  forget(): void {
    this.#snapshots.clear()
  }
}

export function list(cluster: Cluster, pages: ListPages, request: ApiRequest): Reply {
  const selected = selectionOf(request)
  const limit = Number(request.query.get('limit') ?? 0)
  const page = pageOf(cluster, pages, request)
  const matching: KubeObject[] = []
  let index = page.from
  for (; index < page.objects.length; index += 1) {
    const stored = page.objects[index] as KubeObject
    const object = served(request, stored)
    if (!selected(object)) continue
    if (limit > 0 && matching.length === limit) break
    matching.push(object)
  }
  const metadata: JsonObject = { resourceVersion: String(page.version) }
  if (index < page.objects.length) {
    Object.assign(metadata, continuation(pages, request, page, index))
    const counts = !request.query.get('labelSelector') && !request.query.get('fieldSelector')
    if (counts) metadata['remainingItemCount'] = page.objects.length - index
  }
  return {
    kind: 'list',
    list: { kind: request.type.listKind, apiVersion: apiVersionOf(request.type), metadata },
    items: matching,
  }
}

function continuation(pages: ListPages, request: ApiRequest, page: Page, index: number): JsonObject {
  const last = page.objects[index - 1]
  const start = last ? `${placeOf(last).namespace}/${last.metadata.name}` : ''
  pages.keep(snapshotKey(request, page.version), page.version, page.objects)
  const token = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: page.version, start, index })).toString(
    'base64url',
  )
  return { continue: token }
}

function pageOf(cluster: Cluster, pages: ListPages, request: ApiRequest): Page {
  const token = request.query.get('continue')
  if (!token) {
    checkVersion(cluster, request)
    return {
      version: cluster.store.version,
      objects: cluster.store.list(request.type.shelf, request.namespace),
      from: 0,
    }
  }
  if (request.query.get('resourceVersion') && request.query.get('resourceVersion') !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue')
  }
  const { rv, index } = parseToken(token)
  const snapshot = pages.find(snapshotKey(request, rv))
  if (!snapshot) throw expired(CONTINUE_EXPIRED)
  return { ...snapshot, from: index }
}

function parseToken(token: string): { rv: number; index: number } {
  try {
    const { rv, index } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { rv?: unknown; index?: unknown }
    if (typeof rv === 'number' && typeof index === 'number') return { rv, index }
  } catch {
    // Not ours: refused below like any other text.
  }
  throw badRequest('continue key is not valid: illegal base64 or JSON')
}

function snapshotKey(request: ApiRequest, version: number): string {
  return `${version} ${request.type.shelf} ${request.namespace}`
}

/** The rules of resourceVersion and resourceVersionMatch for lists (only the present version is kept). */
function checkVersion(cluster: Cluster, request: ApiRequest): void {
  const version = request.query.get('resourceVersion') ?? ''
  const match = request.query.get('resourceVersionMatch') ?? ''
  if (match && !version) throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (match && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
    )
  }
  if (match === 'Exact' && version === '0')
    throw badRequest('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
  checkNotInFuture(cluster, version)
  if (match === 'Exact' && Number(version) !== cluster.store.version) {
    const changes = cluster.store.changesSince(request.type.shelf, Number(version))
    if (!changes || changes.length > 0) throw expired('The resourceVersion for the provided list is too old.')
  }
}

function checkNotInFuture(cluster: Cluster, version: string): void {
  if (version === '' || version === '0') return
  if (!/^[0-9]+$/.test(version))
    throw badRequest(
      `Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    )
  if (Number(version) <= cluster.store.version) return
  const message = `Too large resource version: ${version}, current: ${cluster.store.version}`
  throw new ApiError(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}
