import { createHash } from 'node:crypto'
import type { ApplyProblem } from './core/observation.ts'
import { canonicalJson } from './core/revision.ts'

/** One write that is wanted: which object of which owner, and everything that decides what would be sent. */
export interface Wish {
  readonly ownerUid: string
  /** `Deployment fraud-1a2b3c4d5e`. */
  readonly object: string
  readonly content: unknown
}

/**
 * Keeps what failed from being tried at every look. It promises that a wish which changed is tried at once, that a failure which may
 * pass is tried again within seconds, and any other within minutes, as the person who helps may not touch our objects.
 */
export interface ApplyBackoff {
  /** The last problem of this very wish, while it is too early to try again. */
  problemOf(wish: Wish): ApplyProblem | undefined
  failed(wish: Wish, problem: ApplyProblem): void
  succeeded(wish: Wish): void
  /** Forgets what this owner does not wish for any more. */
  keepOnly(ownerUid: string, objects: ReadonlySet<string>): void
}

export interface ApplyBackoffOptions {
  /** Milliseconds that only ever grow. */
  readonly monotonicMs: () => number
  /** Owners that are remembered. Default 10,000. */
  readonly memory?: number
}

const FIRST_MS = 1000
const PASSING_LIMIT_MS = 15_000
const LIMIT_MS = 120_000

interface Failure {
  readonly contentHash: string
  readonly problem: ApplyProblem
  readonly pauseMs: number
  readonly until: number
}

export function createApplyBackoff({ monotonicMs, memory = 10_000 }: ApplyBackoffOptions): ApplyBackoff {
  const owners = new Map<string, Map<string, Failure>>()

  function ofOwner(uid: string): Map<string, Failure> {
    const known = owners.get(uid) ?? new Map<string, Failure>()
    owners.delete(uid)
    owners.set(uid, known)
    const [oldest] = owners.keys()
    if (owners.size > memory && oldest !== undefined) owners.delete(oldest)
    return known
  }

  function lastFailure({ ownerUid, object, content }: Wish): Failure | undefined {
    const last = owners.get(ownerUid)?.get(object)
    return last !== undefined && last.contentHash === hashOf(content) ? last : undefined
  }

  return {
    problemOf(wish) {
      const last = lastFailure(wish)
      return last !== undefined && monotonicMs() < last.until ? last.problem : undefined
    },
    failed(wish, problem) {
      const last = lastFailure(wish)
      const limitMs = problem.kind === 'Passing' ? PASSING_LIMIT_MS : LIMIT_MS
      const pauseMs = Math.min(limitMs, last === undefined ? FIRST_MS : last.pauseMs * 2)
      const failure = { contentHash: hashOf(wish.content), problem, pauseMs, until: monotonicMs() + pauseMs }
      ofOwner(wish.ownerUid).set(wish.object, failure)
    },
    succeeded({ ownerUid, object }) {
      owners.get(ownerUid)?.delete(object)
    },
    keepOnly(ownerUid, objects) {
      const known = owners.get(ownerUid)
      for (const object of known?.keys() ?? []) if (!objects.has(object)) known?.delete(object)
      if (known?.size === 0) owners.delete(ownerUid)
    },
  }
}

function hashOf(content: unknown): string {
  return createHash('sha256').update(canonicalJson(content)).digest('base64')
}
