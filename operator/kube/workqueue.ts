/**
 * Which keys to work on next: deduplicated, rate-limited for each key, by a bounded number of workers.
 *
 * It promises that a key that was added is processed after that moment, that no key is ever processed twice at the same time, and
 * that of several delays the earliest counts. What a key stands for is left to the processor; keys carry no payload, so a processor
 * always works on the latest state.
 */
import { systemClock, type Clock } from './clock.ts'

/** Events are what people wait for; a resync of everything must not stand in their way. */
export type Lane = 'event' | 'resync'

export interface Outcome {
  /** Process the key again after this long; an earlier reason to do so wins. */
  readonly requeueAfterMs?: number
}

/** Works on one key. A rejection is a failure: the key comes again, later each time. */
export type Processor = (key: string) => Promise<Outcome | undefined | void>

export interface WorkqueueOptions {
  readonly process: Processor
  /** Workers. Default 4. */
  readonly concurrency?: number
  /** Delay of the n-th failure in a row: base * 2^n, at most the cap, cut by up to half at random. Default 200 ms to 60 s. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number }
  readonly onFailure?: (failure: { key: string; error: unknown; failures: number; retryInMs: number }) => void
  readonly metrics?: WorkqueueMetrics
  readonly clock?: Clock
}

/** In client-go's terms. */
export interface WorkqueueMetrics {
  depth(keys: number): void
  added(): void
  /** From being added to being taken. */
  waited(seconds: number): void
  worked(seconds: number): void
  retried(): void
}

export interface Workqueue {
  add(key: string, lane?: Lane): void
  /** Adds the key after a delay, unless an earlier one is pending. */
  addAfter(key: string, delayMs: number, lane?: Lane): void
  start(): void
  /** Starts nothing any more, forgets what waits, and resolves when what runs has ended. */
  stop(): Promise<void>
  /** Keys that wait for a worker. */
  readonly depth: number
  /** How long the slowest key has been worked on; 0 when idle. For health checks. */
  longestRunningMs(): number
}

interface Waiting {
  readonly lane: Lane
  readonly sinceMs: number
}

interface Delayed {
  readonly atMs: number
  readonly lane: Lane
  readonly cancel: () => void
}

/** After so many events in a row a waiting resync has its turn, so that a busy cluster still resyncs. */
const EVENTS_PER_RESYNC = 16

const NO_METRICS: WorkqueueMetrics = { depth() {}, added() {}, waited() {}, worked() {}, retried() {} }

export function createWorkqueue(options: WorkqueueOptions): Workqueue {
  return new KeyQueue(options)
}

class KeyQueue implements Workqueue {
  readonly #options: WorkqueueOptions
  readonly #clock: Clock
  readonly #metrics: WorkqueueMetrics
  readonly #concurrency: number
  /** Maps keep the order of insertion: each lane is first in, first out. */
  readonly #lanes: Readonly<Record<Lane, Map<string, Waiting>>> = { event: new Map(), resync: new Map() }
  readonly #running = new Map<string, number>()
  /** Added while they were being processed. */
  readonly #again = new Map<string, Waiting>()
  readonly #delayed = new Map<string, Delayed>()
  readonly #failures = new Map<string, number>()
  #state: 'new' | 'started' | 'stopped' = 'new'
  #eventsInARow = 0
  #onIdle: (() => void) | undefined

  constructor(options: WorkqueueOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#metrics = options.metrics ?? NO_METRICS
    this.#concurrency = options.concurrency ?? 4
  }

  get depth(): number {
    return this.#lanes.event.size + this.#lanes.resync.size
  }

  longestRunningMs(): number {
    const now = this.#clock.monotonicMs()
    return Math.max(0, ...[...this.#running.values()].map((startedMs) => now - startedMs))
  }

  add(key: string, lane: Lane = 'event'): void {
    if (this.#state === 'stopped') return
    this.#metrics.added()
    const waiting = { lane, sinceMs: this.#clock.monotonicMs() }
    if (this.#running.has(key)) this.#again.set(key, sooner(this.#again.get(key), waiting))
    else this.#enqueue(key, waiting)
    this.#pump()
  }

  addAfter(key: string, delayMs: number, lane: Lane = 'event'): void {
    if (this.#state === 'stopped') return
    if (delayMs <= 0) return this.add(key, lane)
    const atMs = this.#clock.monotonicMs() + delayMs
    const pending = this.#delayed.get(key)
    if (pending !== undefined && pending.atMs <= atMs) return
    pending?.cancel()
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key)
      this.add(key, lane)
    })
    this.#delayed.set(key, { atMs, lane, cancel })
  }

  start(): void {
    if (this.#state === 'new') this.#state = 'started'
    this.#pump()
  }

  async stop(): Promise<void> {
    this.#state = 'stopped'
    for (const { cancel } of this.#delayed.values()) cancel()
    for (const forgotten of [this.#delayed, this.#again, this.#failures, ...Object.values(this.#lanes)])
      forgotten.clear()
    this.#metrics.depth(0)
    if (this.#running.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  #enqueue(key: string, waiting: Waiting): void {
    const isWaitingAsEvent = this.#lanes.event.has(key)
    if (isWaitingAsEvent) return
    const asResync = this.#lanes.resync.get(key)
    if (asResync !== undefined && waiting.lane === 'resync') return
    this.#lanes.resync.delete(key)
    this.#lanes[waiting.lane].set(key, { ...waiting, sinceMs: asResync?.sinceMs ?? waiting.sinceMs })
    this.#metrics.depth(this.depth)
  }

  #pump(): void {
    while (this.#state === 'started' && this.#running.size < this.#concurrency) {
      const next = this.#take()
      if (next === undefined) return
      void this.#work(next)
    }
  }

  #take(): string | undefined {
    const { event, resync } = this.#lanes
    const isResyncsTurn = resync.size > 0 && (event.size === 0 || this.#eventsInARow >= EVENTS_PER_RESYNC)
    const lane = isResyncsTurn ? resync : event
    const [first] = lane
    if (first === undefined) return undefined
    const [key, { sinceMs }] = first
    lane.delete(key)
    this.#eventsInARow = isResyncsTurn ? 0 : this.#eventsInARow + 1
    this.#metrics.depth(this.depth)
    this.#metrics.waited((this.#clock.monotonicMs() - sinceMs) / 1000)
    return key
  }

  async #work(key: string): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    this.#running.set(key, startedMs)
    try {
      const outcome = await this.#options.process(key)
      this.#failures.delete(key)
      if (outcome?.requeueAfterMs !== undefined) this.addAfter(key, outcome.requeueAfterMs)
    } catch (error) {
      this.#failed(key, error)
    }
    this.#metrics.worked((this.#clock.monotonicMs() - startedMs) / 1000)
    this.#finish(key)
  }

  #finish(key: string): void {
    this.#running.delete(key)
    const again = this.#again.get(key)
    this.#again.delete(key)
    if (again !== undefined) this.#enqueue(key, again)
    this.#pump()
    if (this.#state === 'stopped' && this.#running.size === 0) this.#onIdle?.()
  }

  #failed(key: string, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const { baseMs, capMs } = this.#options.backoff ?? { baseMs: 200, capMs: 60_000 }
    const delayMs = Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30)) * (1 - this.#clock.random() / 2)
    const retryInMs = Math.max(delayMs, retryAfterOf(error))
    this.#metrics.retried()
    this.#options.onFailure?.({ key, error, failures, retryInMs })
    this.addAfter(key, retryInMs)
  }
}

function sooner(one: Waiting | undefined, other: Waiting): Waiting {
  if (one === undefined) return other
  return { lane: one.lane === 'event' ? 'event' : other.lane, sinceMs: one.sinceMs }
}

/** What the server asked for, if that is why it failed. */
function retryAfterOf(error: unknown): number {
  const asked = (error as { retryAfterMs?: unknown } | null)?.retryAfterMs
  return typeof asked === 'number' ? asked : 0
}
