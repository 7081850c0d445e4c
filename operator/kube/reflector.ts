/**
 * Keeps a cache of one resource equal to what the API server has, by a list and a watch that goes on from it.
 *
 * It promises that the cache converges to the server's state whatever happens in between (expired history, throttling, server
 * errors, dropped and half-open connections, garbage), that every change is announced, deletions that nobody saw included, and that
 * it never stops before `stop()`. What the changes mean is left to its listeners.
 */
import type { Client, Selection } from './client.ts'
import { fullJitterMs, pause, systemClock, type Clock } from './clock.ts'
import { ApiError, isExpired, isNotFound, TransportError } from './errors.ts'
import { silentLog, type Log } from './log.ts'
import { collectionPath, type KubeObject, type Resource } from './resource.ts'
import { createStore, keyOfObject, type IndexFunction, type Store, type WritableStore } from './store.ts'
import type { WatchEvent } from './watch.ts'

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  readonly client: Client
  readonly resource: Resource<T>
  /** Leaves out what nobody reads, before the object is kept. It must keep metadata's name, namespace, uid and resourceVersion. */
  readonly prune?: (object: T) => T
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>
  readonly log?: Log
  readonly metrics?: ReflectorMetrics
  readonly clock?: Clock
  readonly tuning?: Partial<ReflectorTuning>
}

export interface ReflectorTuning {
  readonly pageSize: number
  /** False: never ask for a streamed initial state (WatchList), always list. */
  readonly watchList: boolean
  /** A watch is renewed after a random time between this and twice as much. */
  readonly watchSeconds: number
  /** A watch from which nothing came for so long, not even a bookmark (they come every minute), is taken for dead. */
  readonly idleMs: number
  readonly backoff: { readonly baseMs: number; readonly capMs: number }
}

export interface ReflectorMetrics {
  listed(resource: string, objects: number): void
  watchStarted(resource: string): void
  event(resource: string, type: string): void
  failed(resource: string, reason: string): void
}

export interface Reflector<T extends KubeObject> {
  readonly store: Store<T>
  start(): void
  /** Ends the watch; the store keeps its last content. Resolves when nothing runs any more. */
  stop(): Promise<void>
  hasSynced(): boolean
  /** Resolves once the store has had a complete state for the first time. Never rejects. */
  readonly synced: Promise<void>
  /** Milliseconds since the server last said anything (event, bookmark, list); Infinity before the first time. For health checks. */
  silentForMs(): number
}

const DEFAULT_TUNING: ReflectorTuning = {
  pageSize: 500,
  watchList: true,
  watchSeconds: 300,
  idleMs: 120_000,
  backoff: { baseMs: 500, capMs: 30_000 },
}

/** After so many failures in a row at one resourceVersion it is that which is doubted: list again. */
const FAILURES_BEFORE_RELIST = 5
/** A watch that lived less and brought nothing is a failure, else a broken proxy would be asked without end. */
const SHORTEST_WATCH_MS = 1_000
/** Whoever installs a CRD after its controller does not want to wait for long. */
const NOT_SERVED_CAP_MS = 3_000
/** Without an answer to a request for a streamed initial state within this, the server does not know the feature. */
const INITIAL_STATE_IDLE_MS = 10_000

export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
  const log = options.log ?? silentLog
  const clock = options.clock ?? systemClock
  const path = collectionPath(options.resource, options.namespace)
  const store = createStore<T>({
    ...(options.indexes !== undefined && { indexes: options.indexes }),
    onListenerError: (error) => log.error({ err: error, resource: path }, 'a listener of the cache failed'),
  })
  const stopping = new AbortController()
  const run: Run<T> = {
    options,
    store,
    log,
    clock,
    path,
    tuning: { ...DEFAULT_TUNING, ...options.tuning },
    stop: stopping.signal,
    progress: { resourceVersion: undefined, failures: 0, heardAtMs: -Infinity, streamsInitialState: true },
    onSynced: () => {},
  }
  let isSynced = false
  let running: Promise<void> | undefined
  const synced = new Promise<void>((resolve) => {
    run.onSynced = () => {
      isSynced = true
      resolve()
    }
  })
  return {
    store,
    synced,
    hasSynced: () => isSynced,
    silentForMs: () => clock.monotonicMs() - run.progress.heardAtMs,
    start() {
      running ??= reflect(run)
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

interface Run<T extends KubeObject> {
  readonly options: ReflectorOptions<T>
  readonly tuning: ReflectorTuning
  readonly store: WritableStore<T>
  readonly log: Log
  readonly clock: Clock
  readonly path: string
  readonly stop: AbortSignal
  readonly progress: Progress
  onSynced: () => void
}

interface Progress {
  /** Up to where the store is complete; undefined: list first. */
  resourceVersion: string | undefined
  /** In a row. */
  failures: number
  heardAtMs: number
  /** Until the server shows that it cannot. */
  streamsInitialState: boolean
}

async function reflect<T extends KubeObject>(run: Run<T>): Promise<void> {
  while (!run.stop.aborted) {
    try {
      if (run.progress.resourceVersion === undefined && !streamsState(run)) settle(run, await listState(run))
      await follow(run)
    } catch (error) {
      if (!run.stop.aborted) await recover(run, error)
    }
  }
}

/** Decides from where to go on, and waits: with full jitter, and never less than the server asked for. */
async function recover<T extends KubeObject>(run: Run<T>, error: unknown): Promise<void> {
  const { progress, clock, tuning } = run
  const failures = progress.failures++
  const isDoubtful = (failures + 1) % FAILURES_BEFORE_RELIST === 0
  const atOnce = isExpired(error) && failures === 0
  if (isExpired(error) || isDoubtful) progress.resourceVersion = undefined
  run.options.metrics?.failed(run.options.resource.plural, reasonOf(error))
  const askedMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0
  const capMs = isNotFound(error) ? Math.min(NOT_SERVED_CAP_MS, tuning.backoff.capMs) : tuning.backoff.capMs
  const delayMs = atOnce ? 0 : Math.max(askedMs, fullJitterMs(clock, failures, { ...tuning.backoff, capMs }))
  report(run, error, { failures: failures + 1, delayMs: Math.round(delayMs) })
  await pause(clock, delayMs, run.stop)
}

function report<T extends KubeObject>(run: Run<T>, error: unknown, numbers: object): void {
  const fields = { resource: run.path, ...numbers, reason: (error as Error).message }
  if (isNotFound(error)) {
    return run.log.warn(
      fields,
      `${run.path} is not served (yet): is its CustomResourceDefinition installed? Trying again`,
    )
  }
  if (error instanceof ApiError && error.code === 403) {
    return run.log.error(fields, `not allowed to list and watch ${run.path}: check the RBAC rules. Trying again`)
  }
  if (isExpired(error)) return run.log.debug(fields, 'the history is gone: listing again')
  run.log.warn(fields, 'the watch failed: trying again')
}

function reasonOf(error: unknown): string {
  if (error instanceof ApiError) return error.reason
  return error instanceof TransportError ? error.failure : 'unknown'
}

function streamsState<T extends KubeObject>({ tuning, progress }: Run<T>): boolean {
  return tuning.watchList && progress.streamsInitialState
}

/** Brings the whole state into the store, in one step. */
function settle<T extends KubeObject>(run: Run<T>, { objects, resourceVersion }: State<T>): void {
  run.progress.resourceVersion = resourceVersion
  heard(run)
  run.store.replace(objects)
  run.options.metrics?.listed(run.options.resource.plural, objects.length)
  run.onSynced()
}

interface State<T> {
  readonly objects: readonly T[]
  readonly resourceVersion: string
}

async function listState<T extends KubeObject>(run: Run<T>): Promise<State<T>> {
  const { client, resource } = run.options
  const { pageSize } = run.tuning
  const ask = async (size: number) => {
    const list = await client.list(resource, { ...selectionOf(run), pageSize: size, signal: run.stop })
    return { objects: list.items.map((each) => pruned(run, each)), resourceVersion: list.resourceVersion }
  }
  try {
    return await ask(pageSize)
  } catch (error) {
    if (!isExpired(error)) throw error
    return ask(0) // The pages took longer than the server keeps their snapshot: all in one answer.
  }
}

/**
 * Watches until the server ends the watch in good order. When there is no state to go on from, the watch brings it first (WatchList,
 * KEP-3157): that costs the server far less than a list. A server that cannot do that refuses the parameters, or never marks the end.
 */
async function follow<T extends KubeObject>(run: Run<T>): Promise<void> {
  const { progress, clock, tuning } = run
  const startedMs = clock.monotonicMs()
  const from = progress.resourceVersion
  const timeoutSeconds = Math.ceil(tuning.watchSeconds * (1 + clock.random()))
  const seen = { state: from === undefined ? new Map<string, T>() : undefined, events: 0 }
  const idleMs = () => (seen.state === undefined ? tuning.idleMs : Math.min(INITIAL_STATE_IDLE_MS, tuning.idleMs))
  const start = from === undefined ? { sendInitialEvents: true } : { resourceVersion: from }
  try {
    for await (const event of watchWithWatchdog(run, { ...start, timeoutSeconds }, idleMs)) {
      seen.events++
      if (seen.state === undefined) take(run, event)
      else if (gather(run, seen.state, event)) seen.state = undefined
    }
  } catch (error) {
    if (seen.state !== undefined && isRefusal(error)) return withoutStreams(run)
    throw error
  }
  if (run.stop.aborted) return
  if (seen.state !== undefined) return withoutStreams(run)
  const livedMs = clock.monotonicMs() - startedMs
  if (livedMs >= SHORTEST_WATCH_MS) progress.failures = 0
  else if (seen.events === 0) {
    throw new TransportError('connection', `the watch ended after ${Math.round(livedMs)} ms and brought nothing`)
  }
}

function withoutStreams<T extends KubeObject>(run: Run<T>): void {
  run.progress.streamsInitialState = false
  run.log.debug({ resource: run.path }, 'the server does not stream initial states: listing')
}

function isRefusal(error: unknown): boolean {
  if (error instanceof ApiError) return error.code === 400 || error.code === 422
  return error instanceof IdleWatch
}

/** Collects the streamed state; true when it is complete and in the store. */
function gather<T extends KubeObject>(run: Run<T>, state: Map<string, T>, event: WatchEvent<T>): boolean {
  if (event.type === 'BOOKMARK') {
    if (event.isInitialEnd) settle(run, { objects: [...state.values()], resourceVersion: event.resourceVersion })
    return event.isInitialEnd
  }
  if (event.type === 'DELETED') state.delete(keyOfObject(event.object))
  else state.set(keyOfObject(event.object), pruned(run, event.object))
  return false
}

function take<T extends KubeObject>(run: Run<T>, event: WatchEvent<T>): void {
  const { store, progress, options } = run
  progress.failures = 0
  options.metrics?.event(options.resource.plural, event.type)
  if (event.type === 'BOOKMARK') {
    progress.resourceVersion = event.resourceVersion
    return
  }
  const object = pruned(run, event.object)
  progress.resourceVersion = event.object.metadata?.resourceVersion
  if (event.type === 'DELETED') store.remove(object)
  else store.put(object)
}

/** Events of a watch that fails when it is silent for too long: a half-open connection never says that it is dead. */
async function* watchWithWatchdog<T extends KubeObject>(
  run: Run<T>,
  parameters: { timeoutSeconds: number; resourceVersion?: string; sendInitialEvents?: boolean },
  idleMs: () => number,
): AsyncGenerator<WatchEvent<T>> {
  const { options, clock, stop } = run
  const ending = new AbortController()
  let isIdle = false
  const bite = () => {
    isIdle = true
    ending.abort()
  }
  const end = () => ending.abort()
  let calm = clock.after(idleMs(), bite)
  stop.addEventListener('abort', end)
  try {
    options.metrics?.watchStarted(options.resource.plural)
    const wanted = { ...selectionOf(run), ...parameters, signal: ending.signal }
    for await (const event of options.client.watch(options.resource, wanted)) {
      calm()
      heard(run)
      yield event
      calm = clock.after(idleMs(), bite) // Only now: what was read decides how long the next silence may be.
    }
  } catch (error) {
    if (isIdle) throw new IdleWatch(idleMs())
    throw error
  } finally {
    calm()
    stop.removeEventListener('abort', end)
    ending.abort()
  }
}

class IdleWatch extends TransportError {
  constructor(idleMs: number) {
    super('deadline', `nothing came for ${idleMs} ms, not even a bookmark`)
  }
}

function heard<T extends KubeObject>(run: Run<T>): void {
  run.progress.heardAtMs = run.clock.monotonicMs()
}

function pruned<T extends KubeObject>({ options }: Run<T>, object: T): T {
  return options.prune === undefined ? object : options.prune(object)
}

function selectionOf<T extends KubeObject>({ options }: Run<T>): Selection {
  const { namespace, labelSelector, fieldSelector } = options
  return {
    ...(namespace !== undefined && { namespace }),
    ...(labelSelector !== undefined && { labelSelector }),
    ...(fieldSelector !== undefined && { fieldSelector }),
  }
}
