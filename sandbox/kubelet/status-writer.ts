import type { Client } from '../../operator/kube/client.ts'
import { pause, systemClock } from '../../operator/kube/clock.ts'
import { isConflict, isNotFound } from '../../operator/kube/errors.ts'
import type { Log } from '../../operator/kube/log.ts'
import type { Pod, PodCondition, PodStatus } from './objects.ts'
import { PODS } from './resources.ts'

export interface StatusWriterOptions {
  readonly client: Client
  readonly log: Log
  readonly retryMs: number
}

/** Between two writes for one pod: what changes in between goes out as one. */
const LEAST_INTERVAL_MS = 50

/**
 * Brings one pod's status to the API server: only what changed since the last write, one write at a time, the newest state first,
 * never to another pod of the same name. A patch leaves the conditions of others alone.
 */
export class StatusWriter {
  readonly #pod: Pod
  readonly #options: StatusWriterOptions
  readonly #closing = new AbortController()
  #written: PodStatus
  #wanted: PodStatus | undefined
  #work: Promise<void> | undefined
  #isGone = false

  constructor(pod: Pod, options: StatusWriterOptions) {
    this.#pod = pod
    this.#options = options
    this.#written = pod.status ?? {}
  }

  /** Says what the status is now; the write happens by itself. */
  submit(status: PodStatus): void {
    this.#wanted = status
    this.#work ??= this.#run().finally(() => (this.#work = undefined))
  }

  /** Resolves when the newest status has been written, or cannot be any more. */
  async flush(): Promise<void> {
    while (this.#work !== undefined) await this.#work
  }

  close(): void {
    this.#closing.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (this.#wanted !== undefined && !this.#isGone && !signal.aborted) {
      const status = this.#wanted
      const patch = statusPatch(this.#written, status)
      if (patch === undefined) {
        this.#wanted = undefined
        return
      }
      const written = await this.#write(patch)
      if (written) this.#written = status
      await pause(systemClock, written ? LEAST_INTERVAL_MS : this.#options.retryMs, signal)
    }
  }

  async #write(patch: object): Promise<boolean> {
    const { client, log } = this.#options
    const { namespace, name, uid } = this.#pod.metadata
    const body = { metadata: { uid }, status: patch }
    try {
      const call = { signal: this.#closing.signal }
      await client.patchStatus(PODS, { namespace, name }, { type: 'strategic', body }, call)
      return true
    } catch (error) {
      this.#isGone = isNotFound(error) || isConflict(error)
      if (!this.#isGone && !this.#closing.signal.aborted)
        log.warn({ namespace, pod: name, reason: (error as Error).message }, 'the status of a pod could not be written')
      return false
    }
  }
}

/** A strategic merge patch from one status to the next; undefined when they are the same. */
export function statusPatch(before: PodStatus, after: PodStatus): object | undefined {
  const { conditions: conditionsBefore = [], ...fieldsBefore } = before as Record<string, unknown> & PodStatus
  const { conditions: conditionsAfter = [], ...fieldsAfter } = after as Record<string, unknown> & PodStatus
  const patch: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fieldsAfter)) {
    if (!isSame(fieldsBefore[key], value)) patch[key] = replacing(key, fieldsBefore[key], value)
  }
  for (const key of ['reason', 'message']) if (key in fieldsBefore && !(key in fieldsAfter)) patch[key] = null
  const changed = conditionsAfter.filter((each) => !isSame(shown(findType(conditionsBefore, each.type)), shown(each)))
  if (changed.length > 0) patch.conditions = changed.map(withNulls)
  return Object.keys(patch).length === 0 ? undefined : patch
}

/** Lists that a strategic merge would merge: addresses of a former life must go. */
const MERGED_LISTS = ['podIPs', 'hostIPs']

function replacing(key: string, before: unknown, after: unknown): unknown {
  const mustReplace = MERGED_LISTS.includes(key) && Array.isArray(before) && before.length > 0 && Array.isArray(after)
  return mustReplace ? [...(after as unknown[]), { $patch: 'replace' }] : after
}

function findType(conditions: readonly PodCondition[], type: string): PodCondition | undefined {
  return conditions.find((each) => each.type === type)
}

function shown(condition: PodCondition | undefined): unknown {
  if (condition === undefined) return undefined
  const { status, reason, message, lastTransitionTime } = condition
  return { status, reason, message, lastTransitionTime }
}

/** A merge keeps what is not named, so what is gone must be named. */
function withNulls(condition: PodCondition): object {
  return { reason: null, message: null, ...condition }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  )
}
