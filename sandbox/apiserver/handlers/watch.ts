import type { Cluster } from '../cluster.ts'
import type { ApiRequest } from '../http/api-request.ts'
import type { JsonObject, KubeObject } from '../json.ts'
import { apiVersionOf } from '../kinds/resource-type.ts'
import { badRequest, expired } from '../status.ts'
import type { Change, ChangeType } from '../store.ts'
import { selectionOf, served, type Selection } from './selection.ts'

export interface WatchEvent {
  readonly type: ChangeType | 'BOOKMARK' | 'ERROR'
  readonly object: JsonObject
}

export interface WatchOptions {
  readonly timeoutMs: number
  readonly bookmarks: boolean
}

export interface WatchSession extends WatchOptions {
  /** Sends what is there, then every change as it happens. Returns how to stop. */
  open(send: (event: WatchEvent) => void): () => void
  /** The present version, for a client to resume from. */
  bookmark(): WatchEvent
}

const DEFAULT_TIMEOUT_MS = 45 * 60_000
const INITIAL_EVENTS_END = { 'k8s.io/initial-events-end': 'true' }

/** Opens a watch with the semantics of KEP-956 (bookmarks) and KEP-3157 (sendInitialEvents). */
export function watch(cluster: Cluster, request: ApiRequest): WatchSession {
  const selected = selectionOf(request)
  const start = startOf(request)
  const bookmarks = isTrue(request.query.get('allowWatchBookmarks'))
  const seconds = Number(request.query.get('timeoutSeconds') ?? 0)
  const bookmark = (annotations?: JsonObject): WatchEvent => bookmarkOf(request, cluster.store.version, annotations)

  function open(send: (event: WatchEvent) => void): () => void {
    const relay = (change: Change): void => {
      const event = eventFor(change, request, selected)
      if (event) send(event)
    }
    if (start.kind === 'state') {
      for (const stored of cluster.store.list(request.type.shelf, request.namespace)) {
        const object = served(request, stored)
        if (selected(object)) send({ type: 'ADDED', object })
      }
      if (start.marksEnd) send(bookmark(INITIAL_EVENTS_END))
    } else if (start.version !== undefined) {
      const missed = cluster.store.changesSince(request.type.shelf, start.version)
      if (!missed) {
        const text = `too old resource version: ${start.version} (${cluster.store.version})`
        send({ type: 'ERROR', object: expired(text).toStatus() })
        return () => undefined
      }
      missed.forEach(relay)
    }
    return cluster.store.subscribe(request.type.shelf, relay)
  }

  return { open, bookmark, bookmarks, timeoutMs: seconds > 0 ? seconds * 1000 : DEFAULT_TIMEOUT_MS }
}

type Start = { kind: 'state'; marksEnd: boolean } | { kind: 'changes'; version: number | undefined }

function startOf(request: ApiRequest): Start {
  const version = request.query.get('resourceVersion') ?? ''
  const match = request.query.get('resourceVersionMatch') ?? ''
  const initial = request.query.get('sendInitialEvents')
  if (version && !/^[0-9]+$/.test(version))
    throw badRequest(
      `Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    )
  if (initial === null) {
    if (match) throw badRequest('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
    return version === '' || version === '0'
      ? { kind: 'state', marksEnd: false }
      : { kind: 'changes', version: Number(version) }
  }
  if (match !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  if (!isTrue(initial))
    return { kind: 'changes', version: version === '' || version === '0' ? undefined : Number(version) }
  return { kind: 'state', marksEnd: isTrue(request.query.get('allowWatchBookmarks')) }
}

/** A change as this watch sees it: an object that a change brings into its view was added, one that leaves it was deleted. */
function eventFor(change: Change, request: ApiRequest, selected: Selection): WatchEvent | undefined {
  const object = served(request, change.object)
  const sees = change.type !== 'DELETED' && selected(object)
  const saw = change.previous !== undefined && selected(served(request, change.previous))
  if (sees) return { type: saw ? 'MODIFIED' : 'ADDED', object }
  if (!saw || !change.previous) return undefined
  return { type: 'DELETED', object: change.type === 'DELETED' ? object : lastSeen(request, change) }
}

/** The object as it was in view, with the version of the change that took it away. */
function lastSeen(request: ApiRequest, change: Change): KubeObject {
  const previous = served(request, change.previous ?? change.object)
  return { ...previous, metadata: { ...previous.metadata, resourceVersion: String(change.version) } }
}

function bookmarkOf(request: ApiRequest, version: number, annotations?: JsonObject): WatchEvent {
  const metadata = {
    resourceVersion: String(version),
    creationTimestamp: null,
    ...(annotations ? { annotations } : {}),
  }
  return { type: 'BOOKMARK', object: { kind: request.type.kind, apiVersion: apiVersionOf(request.type), metadata } }
}

export function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1'
}
