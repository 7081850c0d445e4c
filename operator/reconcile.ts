import { isDeepStrictEqual } from 'node:util'
import type { ModelDeployment, ModelDeploymentStatus } from './api/resource.ts'
import { conditionAnnouncements, type Announcement } from './core/announcements.ts'
import type { Child, ChildrenSettings, Nudge } from './core/children/children.ts'
import { conditionsAfterInternalError } from './core/conditions.ts'
import type { Instant } from './core/instant.ts'
import type { ApplyProblem } from './core/observation.ts'
import { plan, type Plan } from './core/plan.ts'
import { isInvalid, type ApiError } from './kube/errors.ts'
import type { Scraper } from './evidence/scraper.ts'
import { NO_MEMORY, observe, type CachedChildren, type Memory } from './observe.ts'

/** Namespace and name of a ModelDeployment. */
export interface Key {
  readonly namespace: string
  readonly name: string
}

/** The cluster as a reconcile sees it: caches to read from, and the few writes there are. */
export interface Cluster {
  modelDeployment(key: Key): ModelDeployment | undefined
  /** Read from the API server itself, not from a cache. */
  freshModelDeployment(key: Key): Promise<ModelDeployment | undefined>
  childrenOf(owner: ModelDeployment): CachedChildren
  /** Writes status if the resource still is as it was read. */
  commitStatus(resource: ModelDeployment, status: ModelDeploymentStatus): Promise<CommitResult>
  /** Makes the children so, writing only what differs, and deletes what the owner has beyond them. Never throws for one child. */
  makeChildren(owner: ModelDeployment, children: readonly Child[]): Promise<readonly ApplyProblem[]>
  /** Never throws for one pod. */
  nudge(owner: ModelDeployment, nudges: readonly Nudge[]): Promise<readonly ApplyProblem[]>
  announce(owner: ModelDeployment, announcements: readonly Announcement[]): void
}

export type CommitResult =
  { readonly result: 'Written'; readonly resource: ModelDeployment } | { readonly result: 'Conflict' | 'Gone' }

export interface ReconcilerOptions {
  readonly cluster: Cluster
  readonly scraper: Scraper
  readonly settings: ChildrenSettings
  readonly now: () => Instant
  /** One line for each decision. */
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

export interface Reconciler {
  /** @returns after how many milliseconds to look again; undefined when only an event can change anything. */
  reconcile(key: Key): Promise<number | undefined>
}

/** New trouble with the children is told in status after this long; children that fail in turn must not make a reconcile spin. */
const PROBLEM_LOOK_MS = 1000

/** A stale cache is looked at again after this long. */
const STALE_RETRY_MS = 50
/** A cache that is behind for longer shows that the cluster itself went back in time, as after a restore of etcd. */
const STALE_LIMIT_MS = 30_000

interface Remembered extends Memory {
  /** The resource as it was after our last write; the cache may still hold an older one. */
  readonly newest?: ModelDeployment
  /** Since when the cache is behind that. */
  readonly staleSince?: Instant
}

/**
 * One ModelDeployment, five movements: observe, plan, commit, apply, requeue. Status is written before anything else is touched,
 * and a reconcile that finds itself behind (a conflict, a stale cache) stops there and comes back.
 */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  const memories = new Map<string, Remembered>()
  return {
    async reconcile(key) {
      const id = `${key.namespace}/${key.name}`
      const resource = options.cluster.modelDeployment(key)
      if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) {
        memories.delete(id)
        return undefined
      }
      const memory = memories.get(id) ?? (await firstSight(key, options.cluster))
      const stale = staleness(resource, memory, options.now())
      memories.set(id, stale)
      if (stale.staleSince !== undefined) return STALE_RETRY_MS
      const { memory: next, requeueAfterMs } = await reconcileResource(resource, stale, options)
      memories.set(id, next)
      return requeueAfterMs
    },
  }
}

/**
 * Another replica may have written what our cache has not seen yet, and a look that writes no status would not notice. So the
 * first look at a ModelDeployment asks the API server how far the cache has to be.
 */
async function firstSight(key: Key, cluster: Cluster): Promise<Remembered> {
  const newest = await cluster.freshModelDeployment(key)
  return newest === undefined ? NO_MEMORY : { ...NO_MEMORY, newest }
}

/** Notes since when the cache is behind what we know, and forgets what we know once that lasts too long. */
function staleness(resource: ModelDeployment, memory: Remembered, now: Instant): Remembered {
  const { staleSince = now, ...current } = memory
  if (!isOlder(resource, memory)) return current
  if (now - staleSince < STALE_LIMIT_MS) return { ...current, staleSince }
  const { newest: _ofAnotherTime, ...rest } = current
  return rest
}

interface Turn {
  readonly memory: Remembered
  readonly requeueAfterMs: number | undefined
}

async function reconcileResource(
  resource: ModelDeployment,
  memory: Remembered,
  options: ReconcilerOptions,
): Promise<Turn> {
  const { cluster } = options
  const { readings, decided } = await decide(resource, memory, options)
  const committed = await commit(cluster, resource, decided).catch((error: unknown) => {
    if (isInvalid(error)) cluster.announce(resource, [statusRefused(error)])
    throw error
  })
  if (committed.result !== 'Written') {
    return { memory, requeueAfterMs: committed.result === 'Gone' ? undefined : STALE_RETRY_MS }
  }
  tell(resource, decided.announcements, options)
  const applyProblems = await cluster.makeChildren(resource, decided.children)
  const problems = [...applyProblems, ...(await cluster.nudge(resource, decided.nudges))]
  const problemsChanged = !isDeepStrictEqual(problems, memory.applyProblems)
  return {
    memory: { readings, applyProblems: problems, newest: committed.resource },
    requeueAfterMs: problemsChanged ? PROBLEM_LOOK_MS : decided.requeueAfterMs,
  }
}

/** Law: an error of ours changes nothing but what status says of it; the queue tries again, less and less often. */
async function decide(resource: ModelDeployment, memory: Remembered, options: ReconcilerOptions) {
  const { cluster, scraper, settings, now } = options
  try {
    const { observation, readings } = await observe(resource, cluster.childrenOf(resource), memory, { scraper, now })
    return { readings, decided: plan(observation, settings, now()) }
  } catch (error) {
    const conditions = conditionsAfterInternalError(resource, error, now())
    const status = { ...resource.status, observedGeneration: resource.metadata.generation, conditions }
    const committed = await commit(cluster, resource, { status })
    if (committed.result === 'Written')
      tell(resource, conditionAnnouncements(resource.status?.conditions, conditions), options)
    throw error
  }
}

/** As Events to the people around the resource, and as a line each to whoever reads the log. */
function tell(resource: ModelDeployment, announcements: readonly Announcement[], options: ReconcilerOptions): void {
  for (const { type, reason, message } of announcements) options.log(message, { reason, type, ...identityOf(resource) })
  options.cluster.announce(resource, announcements)
}

async function commit(
  cluster: Cluster,
  resource: ModelDeployment,
  decided: Pick<Plan, 'status'>,
): Promise<CommitResult> {
  if (isDeepStrictEqual(resource.status, decided.status)) return { result: 'Written', resource }
  return cluster.commitStatus(resource, decided.status)
}

/** Nothing goes on without status, so this is said where a person sees it. */
function statusRefused(error: ApiError): Announcement {
  const message = `the API server refuses the new status, so nothing is done: ${error.said}`
  return { type: 'Warning', reason: 'StatusRefused', action: 'WriteStatus', message: message.slice(0, 1000) }
}

/** Resource versions of one kind are ordered integers (KEP-5504). */
function isOlder(resource: ModelDeployment, { newest }: Remembered): boolean {
  if (newest === undefined || newest.metadata.uid !== resource.metadata.uid) return false
  return BigInt(resource.metadata.resourceVersion) < BigInt(newest.metadata.resourceVersion)
}

function identityOf({ metadata }: ModelDeployment) {
  return { namespace: metadata.namespace, modelDeployment: metadata.name, generation: metadata.generation }
}
