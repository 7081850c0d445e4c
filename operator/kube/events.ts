/**
 * Tells people what happened, as Kubernetes Events (events.k8s.io/v1).
 *
 * It promises never to throw, never to make its caller wait, and never to flood the API server: repetitions become a series, every
 * object has a budget, and what cannot be written in time is dropped and counted.
 */
import type { Client } from './client.ts'
import { fullJitterMs, microTime, pause, systemClock, type Clock } from './clock.ts'
import { ApiError } from './errors.ts'
import { silentLog, type Log } from './log.ts'
import type { KubeObject } from './resource.ts'
import { EVENT, readAs } from './resources.ts'

export interface Happening {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, for machines: `RolledBack`. */
  readonly reason: string
  /** What was done or tried: `Rollback`. */
  readonly action: string
  /** For people; cut at 1,024 bytes. */
  readonly note: string
  /** A second object that took part. */
  readonly related?: KubeObject
}

export interface EventRecorder {
  record(regarding: KubeObject, happening: Happening): void
  /** Writes what is pending, for at most so long, and ends. */
  close(deadlineMs?: number): Promise<void>
  /** Happenings that were never written. */
  readonly dropped: number
}

export interface EventRecorderOptions {
  readonly client: Client
  /** A qualified name: `penstock.dev/operator`. */
  readonly controller: string
  /** Which process: its host name. */
  readonly instance: string
  /** Per object: so many at once, and one more every `refillMs`. Default 25 and 10 s. */
  readonly budget?: { readonly burst: number; readonly refillMs: number }
  /** A repetition is written at most this often. Default 10 s. */
  readonly seriesMs?: number
  readonly clock?: Clock
  readonly log?: Log
}

interface ObjectReference {
  readonly apiVersion?: string
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
  readonly uid?: string
  readonly resourceVersion?: string
}

interface EventObject extends KubeObject {
  readonly eventTime: string
  readonly reportingController: string
  readonly reportingInstance: string
  readonly action: string
  readonly reason: string
  readonly type: string
  readonly note: string
  readonly regarding: ObjectReference
  readonly related?: ObjectReference
  readonly series?: { readonly count: number; readonly lastObservedTime: string }
}

const EVENTS = readAs<EventObject>(EVENT)
const MAX_PENDING = 1_000
const MAX_SERIES = 4_096
/** As in client-go: what does not come again within this is over. */
const SERIES_END_MS = 360_000
const MAX_TRIES = 4
const NOTE_BYTES = 1_024
const NAME_LENGTH = 128

/** One happening and its repetitions. */
interface Series {
  event: EventObject
  count: number
  lastMs: number
  /** Times as of `lastMs`, for the wire. */
  lastTime: string
  state: 'pending' | 'written' | 'failed'
  writtenCount: number
  cancelFlush: (() => void) | undefined
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options)
}

class Recorder implements EventRecorder {
  dropped = 0
  readonly #options: EventRecorderOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #series = new Map<string, Series>()
  readonly #budgets = new Map<string, { tokens: number; atMs: number }>()
  readonly #pending: Series[] = []
  readonly #closing = new AbortController()
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLog
  }

  record(regarding: KubeObject, happening: Happening): void {
    try {
      if (!this.#isClosed) this.#take(regarding, happening)
    } catch (error) {
      this.dropped++
      this.#log.warn({ reason: (error as Error).message }, 'an event could not be recorded')
    }
  }

  async close(deadlineMs = 2_000): Promise<void> {
    this.#isClosed = true
    for (const series of this.#series.values()) {
      series.cancelFlush?.()
      if (series.state === 'written' && series.count > series.writtenCount) this.#push(series)
    }
    const cancel = this.#clock.after(deadlineMs, () => this.#closing.abort())
    await this.#writing
    cancel()
    this.dropped += this.#pending.splice(0).length
  }

  #take(regarding: KubeObject, happening: Happening): void {
    const now = this.#clock.monotonicMs()
    const { related, ...said } = happening
    const key = JSON.stringify([regarding.metadata?.uid, regarding.metadata?.name, related?.metadata?.uid, said])
    const known = this.#series.get(key)
    if (known !== undefined && known.state !== 'failed' && now - known.lastMs < SERIES_END_MS)
      return this.#repeat(known)
    if (!this.#spend(regarding.metadata?.uid ?? '', now)) {
      this.dropped++
      return
    }
    const event = eventOf(regarding, happening, { ...this.#options, time: this.#clock.wallTime() })
    const series: Series = {
      event,
      count: 1,
      lastMs: now,
      lastTime: event.eventTime,
      state: 'pending',
      writtenCount: 0,
      cancelFlush: undefined,
    }
    this.#remember(key, series)
    this.#push(series)
  }

  #repeat(series: Series): void {
    series.count++
    series.lastMs = this.#clock.monotonicMs()
    series.lastTime = microTime(this.#clock.wallTime())
    if (series.state === 'written') this.#flushLater(series)
  }

  #flushLater(series: Series): void {
    if (series.cancelFlush !== undefined) return
    series.cancelFlush = this.#clock.after(this.#options.seriesMs ?? 10_000, () => {
      series.cancelFlush = undefined
      this.#push(series)
    })
  }

  #remember(key: string, series: Series): void {
    this.#series.delete(key)
    this.#series.set(key, series)
    for (const [oldKey, old] of this.#series) {
      const isOver = series.lastMs - old.lastMs >= SERIES_END_MS && old.cancelFlush === undefined
      if (!isOver && this.#series.size <= MAX_SERIES) break
      old.cancelFlush?.()
      this.#series.delete(oldKey)
    }
  }

  /** A token bucket for each object. */
  #spend(uid: string, now: number): boolean {
    const { burst, refillMs } = this.#options.budget ?? { burst: 25, refillMs: 10_000 }
    const bucket = this.#budgets.get(uid) ?? { tokens: burst, atMs: now }
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.atMs) / refillMs)
    this.#budgets.delete(uid)
    this.#budgets.set(uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: now })
    const [oldest] = this.#budgets.keys()
    if (this.#budgets.size > MAX_SERIES && oldest !== undefined) this.#budgets.delete(oldest)
    return tokens >= 1
  }

  #push(series: Series): void {
    this.#pending.push(series)
    if (this.#pending.length > MAX_PENDING) {
      this.#pending.shift()
      this.dropped++
    }
    this.#writing ??= this.#drain()
  }

  async #drain(): Promise<void> {
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      await this.#write(next)
    }
    this.#writing = undefined
  }

  async #write(series: Series): Promise<void> {
    for (let tries = 1; !this.#closing.signal.aborted; tries++) {
      try {
        await this.#send(series)
        return
      } catch (error) {
        if (tries >= MAX_TRIES || !mayPass(error)) return this.#giveUp(series, error)
        await pause(this.#clock, fullJitterMs(this.#clock, tries, { baseMs: 500, capMs: 10_000 }), this.#closing.signal)
      }
    }
    this.dropped++
  }

  async #send(series: Series): Promise<void> {
    const count = series.count
    const signal = this.#closing.signal
    const observed = count > 1 ? { series: { count, lastObservedTime: series.lastTime } } : {}
    if (series.state === 'written') {
      const { namespace = '', name = '' } = series.event.metadata ?? {}
      await this.#options.client.patch(EVENTS, { namespace, name }, { type: 'merge', body: observed }, { signal })
    } else {
      await this.#options.client.create(EVENTS, { ...series.event, ...observed }, { signal })
      series.state = 'written'
    }
    series.writtenCount = count
    if (series.count <= count) return
    if (this.#isClosed)
      this.#push(series) // It came again while it was on its way.
    else this.#flushLater(series)
  }

  #giveUp(series: Series, error: unknown): void {
    this.dropped++
    series.state = 'failed'
    const { reason, regarding } = series.event
    this.#log.warn({ event: reason, regarding, reason: (error as Error).message }, 'an event could not be written')
  }
}

/** Throttled, or a server in trouble; anything else stays wrong. */
function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.code === 429 || error.code >= 500
}

function eventOf(
  regarding: KubeObject,
  happening: Happening,
  by: { readonly controller: string; readonly instance: string; readonly time: Date },
): EventObject {
  const name = regarding.metadata?.name ?? ''
  const eventTime = microTime(by.time)
  return {
    metadata: {
      name: `${name.slice(0, 200)}.${Date.now().toString(16)}${crypto.randomUUID().slice(0, 8)}`,
      namespace: regarding.metadata?.namespace ?? 'default',
    },
    eventTime,
    reportingController: by.controller,
    reportingInstance: by.instance.slice(0, NAME_LENGTH),
    action: happening.action.slice(0, NAME_LENGTH),
    reason: happening.reason.slice(0, NAME_LENGTH),
    type: happening.type,
    note: cut(happening.note, NOTE_BYTES),
    regarding: referenceTo(regarding),
    ...(happening.related !== undefined && { related: referenceTo(happening.related) }),
  }
}

function referenceTo({ apiVersion, kind, metadata }: KubeObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = metadata ?? {}
  return JSON.parse(JSON.stringify({ apiVersion, kind, namespace, name, uid, resourceVersion })) as ObjectReference
}

/** At most so many bytes of UTF-8, never half a character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  const whole = new TextDecoder().decode(bytes.subarray(0, maxBytes - 4), { stream: true })
  return `${whole}...`
}
