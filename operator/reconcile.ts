import { isDeepStrictEqual } from 'node:util'
import type { ModelDeployment, ModelDeploymentStatus } from './api/resource.ts'
import type { Announcement } from './core/announcements.ts'
import type { Child, ChildrenSettings, Nudge } from './core/children/children.ts'
import type { Instant } from './core/instant.ts'
import type { ApplyProblem } from './core/observation.ts'
import { plan, type Plan } from './core/plan.ts'
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
  childrenOf(owner: ModelDeployment): CachedChildren
  /** Writes status if the resource still is as it was read. */
  commitStatus(resource: ModelDeployment, status: ModelDeploymentStatus): Promise<CommitResult>
  /** Makes the children so, writing only what differs, and deletes what the owner has beyond them. Never throws for one child. */
  makeChildren(owner: ModelDeployment, children: readonly Child[]): Promise<readonly ApplyProblem[]>
  nudge(owner: ModelDeployment, nudges: readonly Nudge[]): Promise<void>
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

interface Remembered extends Memory {
  /** The resource as it was after our last write; the cache may still hold an older one. */
  readonly newest?: ModelDeployment
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
      const memory = memories.get(id) ?? NO_MEMORY
      if (isOlder(resource, memory)) return STALE_RETRY_MS
      const { memory: next, requeueAfterMs } = await reconcileResource(resource, memory, options)
      memories.set(id, next)
      return requeueAfterMs
    },
  }
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
  const { cluster, scraper, settings, now, log } = options
  const { observation, readings } = await observe(resource, cluster.childrenOf(resource), memory, scraper)
  const decided = plan(observation, settings, now())
  const committed = await commit(cluster, resource, decided)
  if (committed.result !== 'Written') {
    return { memory, requeueAfterMs: committed.result === 'Gone' ? undefined : STALE_RETRY_MS }
  }
  for (const { type, reason, message } of decided.announcements) log(message, { reason, type, ...identityOf(resource) })
  cluster.announce(resource, decided.announcements)
  const applyProblems = await cluster.makeChildren(resource, decided.children)
  await cluster.nudge(resource, decided.nudges)
  const problemsChanged = !isDeepStrictEqual(applyProblems, memory.applyProblems)
  return {
    memory: { readings, applyProblems, newest: committed.resource },
    requeueAfterMs: problemsChanged ? PROBLEM_LOOK_MS : decided.requeueAfterMs,
  }
}

async function commit(cluster: Cluster, resource: ModelDeployment, decided: Plan): Promise<CommitResult> {
  if (isDeepStrictEqual(resource.status, decided.status)) return { result: 'Written', resource }
  return cluster.commitStatus(resource, decided.status)
}

/** Resource versions of one kind are ordered integers (KEP-5504). */
function isOlder(resource: ModelDeployment, { newest }: Remembered): boolean {
  if (newest === undefined || newest.metadata.uid !== resource.metadata.uid) return false
  return BigInt(resource.metadata.resourceVersion) < BigInt(newest.metadata.resourceVersion)
}

function identityOf({ metadata }: ModelDeployment) {
  return { namespace: metadata.namespace, modelDeployment: metadata.name, generation: metadata.generation }
}
