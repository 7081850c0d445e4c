/**
 * A small typed client over the resources of one API server. It knows verbs, paths and content types, and nothing of what objects
 * mean. Objects are plain JSON, as the wire has them: times are strings.
 */
import type { V1Scale } from '@kubernetes/client-node'
import type { IncomingMessage } from 'node:http'
import { TransportError } from './errors.ts'
import { collectionPath, apiVersionOf, nameOf, objectPath } from './resource.ts'
import type { KubeObject, ObjectName, Resource } from './resource.ts'
import type { Call, Transport } from './transport.ts'
import { watchEvents, type WatchEvent } from './watch.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string
  /** The server checks and defaults the object, and stores nothing. */
  readonly dryRun?: boolean
  /** `status`, `scale`, `eviction`, `binding` ... */
  readonly subresource?: string
}

export interface ApplyOptions extends Omit<WriteOptions, 'fieldManager'> {
  readonly fieldManager: string
  /** Take over fields that other managers hold. */
  readonly force?: boolean
}

export interface Selection {
  /** Without it: all namespaces. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface ListOptions extends Selection, CallOptions {
  readonly resourceVersion?: string
  /** Objects in one answer; the pages are put together. Default 500; 0: all in one answer. */
  readonly pageSize?: number
}

export interface WatchOptions extends Selection {
  readonly signal?: AbortSignal
  readonly resourceVersion?: string
  /** After this the server ends the watch. */
  readonly timeoutSeconds?: number
  /** Stream the present state first, then a bookmark (KEP-3157). */
  readonly sendInitialEvents?: boolean
  /** Until the head of the answer. */
  readonly timeoutMs?: number
}

export interface DeleteOptions extends CallOptions {
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly gracePeriodSeconds?: number
  readonly dryRun?: boolean
}

export interface LogOptions extends CallOptions {
  readonly container?: string
  readonly follow?: boolean
  readonly tailLines?: number
  readonly previous?: boolean
}

export type Patch =
  | { readonly type: 'merge' | 'strategic'; readonly body: object }
  | { readonly type: 'json'; readonly body: readonly JsonPatchOperation[] }

export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test'
  readonly path: string
  readonly from?: string
  readonly value?: unknown
}

export interface List<T> {
  readonly items: readonly T[]
  /** Where a watch goes on from. */
  readonly resourceVersion: string
}

/** Every method rejects with an ApiError or a TransportError. */
export interface Client {
  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options?: CallOptions): Promise<T>
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<List<T>>
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>
  /** Replaces the object; with `metadata.resourceVersion` only if it is still that one. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>
  updateStatus<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>
  patch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: Patch, options?: WriteOptions): Promise<T>
  patchStatus<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<T>
  /** Server-side apply: makes the object have these fields, and lose those that this manager applied before and no longer does. */
  apply<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T>
  applyStatus<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T>
  /** Answers when the deletion is accepted; finalizers and grace may keep the object for longer. */
  delete(resource: Resource, name: ObjectName, options?: DeleteOptions): Promise<void>
  deleteCollection(resource: Resource, selection: Selection, options?: DeleteOptions): Promise<void>
  getScale(resource: Resource, name: ObjectName, options?: CallOptions): Promise<V1Scale>
  patchScale(resource: Resource, name: ObjectName, replicas: number, options?: WriteOptions): Promise<V1Scale>
  /** The raw events of one watch, until the server or the signal ends it. Reflectors add everything that makes it last. */
  watch<T extends KubeObject>(resource: Resource<T>, options?: WatchOptions): AsyncGenerator<WatchEvent<T>>
  /** A container's log as it comes. */
  logs(pod: ObjectName, options?: LogOptions): Promise<IncomingMessage>
  /** Anything else: `/version`, discovery, `/readyz`. */
  raw(call: Call): Promise<unknown>
}

const DEFAULT_PAGE_SIZE = 500
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

export function createClient(transport: Transport): Client {
  const call = <T>(wanted: Call) => transport.json(wanted) as Promise<T>
  const client: Client = {
    get: (resource, name, options = {}) =>
      call({ method: 'GET', path: objectPath(resource, name), ...bounds(options) }),
    list: (resource, options = {}) => list(transport, resource, options),
    watch: (resource, options = {}) => watch(transport, resource, options),
    raw: (wanted) => transport.json(wanted),
    create: (resource, object, options = {}) => call(create(resource, object, options)),
    update: (resource, object, options = {}) => call(update(resource, object, options)),
    updateStatus: (resource, object, options = {}) => client.update(resource, object, ofStatus(options)),
    patch: (resource, name, patch, options = {}) => call(patchCall(resource, name, patch, options)),
    patchStatus: (resource, name, patch, options = {}) => client.patch(resource, name, patch, ofStatus(options)),
    apply: (resource, object, options) => call(apply(resource, object, options)),
    applyStatus: (resource, object, options) => client.apply(resource, object, { ...options, subresource: 'status' }),
    async delete(resource, name, options = {}) {
      await transport.json({ ...deletion(options), path: objectPath(resource, name) })
    },
    async deleteCollection(resource, selection, options = {}) {
      const path = `${collectionPath(resource, selection.namespace)}${query(selectors(selection))}`
      await transport.json({ ...deletion(options), path })
    },
    getScale: (resource, name, options = {}) =>
      call({ method: 'GET', path: objectPath(resource, name, 'scale'), ...bounds(options) }),
    patchScale: (resource, name, replicas, options = {}) =>
      call(
        patchCall(
          resource,
          name,
          { type: 'merge', body: { spec: { replicas } } },
          { ...options, subresource: 'scale' },
        ),
      ),
    logs: (pod, options = {}) => transport.stream(logs(pod, options)),
  }
  return client
}

async function list<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: ListOptions,
): Promise<List<T>> {
  const items: T[] = []
  let token: string | undefined
  for (;;) {
    const page = await listPage(transport, resource, options, token)
    for (const item of page.items) items.push(item)
    token = page.token
    if (token === undefined) return { items, resourceVersion: page.resourceVersion }
  }
}

async function listPage<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: ListOptions,
  token: string | undefined,
): Promise<List<T> & { token: string | undefined }> {
  const pageSize = options.pageSize ?? DEFAULT_PAGE_SIZE
  const parameters = {
    ...selectors(options),
    limit: pageSize === 0 ? undefined : pageSize,
    continue: token,
    resourceVersion: token === undefined ? options.resourceVersion : undefined,
  }
  const path = `${collectionPath(resource, options.namespace)}${query(parameters)}`
  const answer = (await transport.json({ method: 'GET', path, ...bounds(options) })) as Partial<RawList> | undefined
  const resourceVersion = answer?.metadata?.resourceVersion
  if (resourceVersion === undefined) throw new TransportError('malformed', `GET ${path}: the answer is not a list`)
  const items = (answer?.items ?? []).map((item) => withType(resource, item)) as unknown as T[]
  return { items, resourceVersion, token: answer?.metadata?.continue || undefined }
}

interface RawList {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string }
  /** Null where a Go server has an empty slice. */
  readonly items: Record<string, unknown>[] | null
}

/** Items of a list come without the kind that single objects have. */
function withType(resource: Resource, item: Record<string, unknown>): Record<string, unknown> {
  item.apiVersion ??= apiVersionOf(resource)
  item.kind ??= resource.kind
  return item
}

async function* watch<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const parameters = {
    watch: 1,
    allowWatchBookmarks: true,
    ...selectors(options),
    resourceVersion: options.resourceVersion,
    timeoutSeconds: options.timeoutSeconds,
    ...(options.sendInitialEvents === true && { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }),
  }
  const path = `${collectionPath(resource, options.namespace)}${query(parameters)}`
  yield* watchEvents<T>(await transport.stream({ method: 'GET', path, ...bounds(options) }))
}

function create(resource: Resource, object: KubeObject, options: WriteOptions): Call {
  const { namespace } = object.metadata ?? {}
  const path =
    options.subresource === undefined
      ? collectionPath(resource, requiredNamespace(resource, namespace))
      : objectPath(resource, nameOf(object), options.subresource)
  return {
    method: 'POST',
    path: `${path}${query(writeQuery(options))}`,
    body: typed(resource, object),
    ...bounds(options),
  }
}

function requiredNamespace(resource: Resource, namespace: string | undefined): string | undefined {
  if (resource.namespaced && !namespace) throw new Error(`a new ${resource.kind} needs metadata.namespace`)
  return namespace
}

function update(resource: Resource, object: KubeObject, options: WriteOptions): Call {
  const path = objectPath(resource, nameOf(object), options.subresource)
  return {
    method: 'PUT',
    path: `${path}${query(writeQuery(options))}`,
    body: typed(resource, object),
    ...bounds(options),
  }
}

function patchCall(resource: Resource, name: ObjectName, patch: Patch, options: WriteOptions): Call {
  const path = `${objectPath(resource, name, options.subresource)}${query(writeQuery(options))}`
  return { method: 'PATCH', path, body: patch.body, contentType: PATCH_TYPES[patch.type], ...bounds(options) }
}

function apply(resource: Resource, object: KubeObject, options: ApplyOptions): Call {
  const { managedFields: _, ...metadata } = object.metadata ?? {}
  const parameters = { ...writeQuery(options), force: options.force }
  return {
    method: 'PATCH',
    path: `${objectPath(resource, nameOf(object), options.subresource)}${query(parameters)}`,
    body: { ...typed(resource, object), metadata },
    contentType: PATCH_TYPES.apply,
    idempotent: true,
    ...bounds(options),
  }
}

function deletion(options: DeleteOptions): Omit<Call, 'path'> {
  const { propagation, preconditions, gracePeriodSeconds, dryRun } = options
  const body = {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(propagation !== undefined && { propagationPolicy: propagation }),
    ...(preconditions !== undefined && { preconditions }),
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(dryRun === true && { dryRun: ['All'] }),
  }
  return { method: 'DELETE', body, ...bounds(options) }
}

function logs(pod: ObjectName, options: LogOptions): Call {
  const { container, follow, tailLines, previous } = options
  const path = objectPath({ group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }, pod, 'log')
  return { method: 'GET', path: `${path}${query({ container, follow, tailLines, previous })}`, ...bounds(options) }
}

function ofStatus<O extends WriteOptions>(options: O): O {
  return { ...options, subresource: 'status' }
}

function typed(resource: Resource, object: KubeObject): KubeObject {
  return { ...object, apiVersion: object.apiVersion ?? apiVersionOf(resource), kind: object.kind ?? resource.kind }
}

function selectors({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector }
}

function writeQuery({ fieldManager, dryRun }: WriteOptions): Query {
  return { fieldManager, dryRun: dryRun === true ? 'All' : undefined }
}

function bounds({ signal, timeoutMs }: CallOptions): CallOptions {
  return { ...(signal !== undefined && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) }
}

function query(parameters: Query): string {
  const present = Object.entries(parameters).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)] as [string, string]],
  )
  return present.length === 0 ? '' : `?${new URLSearchParams(present).toString()}`
}
