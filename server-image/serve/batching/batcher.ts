/**
 * Micro-batching: whatever arrives within one turn of the event loop is computed together.
 *
 * A lone request waits for nothing but the turn to end; under load batches grow by themselves, as jobs gather while one
 * batch is computed. The queue is bounded in rows and in time: who is sure to wait in vain is refused. A job that fails never
 * takes its neighbours with it.
 */
import { ApiError } from '../api-error.ts'
import { modelFailed } from './model-failed.ts'
import { RunTimes } from './run-times.ts'

export interface BatcherOptions<Work, Result> {
  /** Rows in one batch. A job of more rows is a batch of its own; jobs are never divided. */
  readonly maxRows: () => number
  /** How long the first job of a batch may wait for others, in milliseconds. 0: only for the turn of the event loop. */
  readonly maxDelayMs: number
  /** Rows that may wait. A job is always accepted when none waits. */
  readonly maxQueuedRows: number
  /** A job that has waited longer is not computed any more, in milliseconds. */
  readonly deadlineMs: number
  readonly rowsOf: (work: Work) => number
  /** Computes one result for each work, in order; or rejects. */
  readonly compute: (works: readonly Work[]) => Promise<readonly Result[]>
  /** Told of the rows of each batch that is computed. */
  readonly onBatch?: (rows: number) => void
}

interface Job<Work, Result> {
  readonly work: Work
  readonly rows: number
  /** How much of a batch it is; 1 for one of its own. */
  readonly share: number
  /** How long its client waits for an answer, in milliseconds. */
  readonly wantedMs: number
  /** When its client waits no longer. */
  readonly until: number
  /** When it must be in a batch. */
  readonly waitsUntil: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: ApiError) => void
}

type Wish = Pick<Job<unknown, unknown>, 'rows' | 'share' | 'until' | 'waitsUntil'>

/** Of the time that a client has, a refusal may wait for so much. */
const SHARE_TO_HOLD = 1 / 4

export class Batcher<Work, Result> {
  readonly #options: BatcherOptions<Work, Result>
  #queue: Job<Work, Result>[] = []
  #queuedRows = 0
  /** Sum of the shares: batches that wait. */
  #queuedShares = 0
  /** The batch that is computed now. */
  #running: readonly Job<Work, Result>[] = []
  #runningUntil = Infinity
  #runningRows = 0
  #runningSince = 0
  readonly #times = new RunTimes()
  #computing = false
  /** No job in the queue stops waiting sooner. */
  #soonest = Infinity
  #turn: NodeJS.Immediate | undefined
  #delay: NodeJS.Timeout | undefined
  #expiry: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: BatcherOptions<Work, Result>) {
    this.#options = options
  }

  /** Rows that wait for their batch. */
  get queuedRows(): number {
    return this.#queuedRows
  }

  /**
   * @param wantedMs how long the client waits for an answer, in milliseconds
   * @throws ApiError `overloaded`, `deadline_exceeded` or `model_failed` (as a rejection)
   */
  submit(work: Work, wantedMs = Infinity): Promise<Result> {
    const rows = this.#options.rowsOf(work)
    const share = Math.min(1, rows / this.#options.maxRows())
    const now = performance.now()
    const until = now + wantedMs
    const waitsUntil = Math.min(until, now + this.#options.deadlineMs)
    if (this.#soonest <= now) this.#rejectExpired()
    if (this.#queuedRows > 0) {
      const isFull = this.#queuedRows + rows > this.#options.maxQueuedRows
      if (isFull || this.#isInVain({ rows, share, until, waitsUntil }, now))
        return Promise.reject(this.#overloaded(wantedMs, now))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, rows, share, wantedMs, until, waitsUntil, resolve, reject })
      this.#queuedRows += rows
      this.#queuedShares += share
      this.#soonest = Math.min(this.#soonest, waitsUntil)
      this.#schedule()
      this.#watchTime()
    })
  }

  /**
   * Whether a job would not be in a batch or not be answered in time, as the runs tell since the last pause.
   *
   * Law: nobody is refused for it unless others wait. So the model has its next run whoever is refused, and each run tells anew.
   */
  #isInVain({ rows, share, until, waitsUntil }: Wish, now: number): boolean {
    return (
      now + this.#expectedMs(this.#queuedRows, Math.floor(this.#queuedShares), now) > waitsUntil ||
      now + this.#expectedMs(this.#queuedRows + rows, Math.ceil(this.#queuedShares + share), now) > until
    )
  }

  /** How long what is computed now, and so many rows in so many batches after it, take. */
  #expectedMs(rows: number, batches: number, now: number): number {
    const running = this.#times.expectedMs(this.#runningRows, 1) - (now - this.#runningSince)
    return Math.max(0, running) + this.#times.expectedMs(rows, batches)
  }

  #schedule(): void {
    if (this.#computing || this.#turn !== undefined || this.#queue.length === 0) return
    if (this.#options.maxDelayMs === 0 || this.#queuedRows >= this.#options.maxRows()) {
      clearTimeout(this.#delay)
      this.#delay = undefined
      this.#turn = setImmediate(() => {
        this.#turn = undefined
        void this.#computeNext()
      })
    } else {
      this.#delay ??= setTimeout(() => {
        this.#delay = undefined
        void this.#computeNext()
      }, this.#options.maxDelayMs)
    }
  }

  async #computeNext(): Promise<void> {
    if (this.#computing) return
    const batch = this.#takeBatch()
    if (batch.length > 0) {
      this.#computing = true
      this.#running = batch
      this.#runningRows = rowsIn(batch)
      this.#runningSince = performance.now()
      this.#runningUntil = Math.min(...batch.map(({ until }) => until))
      this.#watchTime()
      await this.#compute(batch)
      this.#running = []
      this.#runningRows = 0
      this.#runningUntil = Infinity
      this.#computing = false
      // After a pause the model, its core or its requests may be others.
      if (this.#queue.length === 0) this.#times.forget()
    }
    this.#schedule()
  }

  /** Whoever waits too long is told in time, however long the model takes over its batch or the one before. */
  #watchTime(): void {
    if (!this.#computing) return
    const at = Math.min(this.#soonest, this.#runningUntil)
    if (at === Infinity || (this.#expiry !== undefined && this.#expiry.at <= at)) return
    clearTimeout(this.#expiry?.timer)
    const timer = setTimeout(
      () => {
        this.#expiry = undefined
        this.#rejectExpired()
        this.#watchTime()
      },
      Math.max(1, at - performance.now() + 1),
    )
    timer.unref()
    this.#expiry = { at, timer }
  }

  #rejectExpired(): void {
    const now = performance.now()
    const expired: Job<Work, Result>[] = []
    // What comes of a run that nobody waits for any more is lost when it ends.
    if (this.#runningUntil <= now) {
      this.#running = kept(this.#running, ({ until }) => until > now, expired)
      this.#runningUntil = Math.min(...this.#running.map(({ until }) => until))
    }
    if (this.#soonest <= now) this.#keep(kept(this.#queue, ({ waitsUntil }) => waitsUntil > now, expired))
    for (const job of expired) job.reject(this.#deadlineExceeded(job, now))
  }

  /** Of the queue. */
  #keep(jobs: Job<Work, Result>[]): void {
    this.#queue = jobs
    this.#queuedRows = 0
    this.#queuedShares = 0
    this.#soonest = Infinity
    for (const { rows, share, waitsUntil } of jobs) {
      this.#queuedRows += rows
      this.#queuedShares += share
      this.#soonest = Math.min(this.#soonest, waitsUntil)
    }
  }

  #takeBatch(): Job<Work, Result>[] {
    this.#rejectExpired()
    const batch: Job<Work, Result>[] = []
    const maxRows = this.#options.maxRows()
    let rows = 0
    for (const job of this.#queue) {
      if (batch.length > 0 && rows + job.rows > maxRows) break
      rows += job.rows
      batch.push(job)
    }
    this.#queuedRows -= rows
    for (const { share } of batch) this.#queuedShares -= share
    this.#queue = batch.length === this.#queue.length ? [] : this.#queue.slice(batch.length)
    if (this.#queue.length === 0) {
      this.#soonest = Infinity
      this.#queuedShares = 0
    }
    if (rows > 0) this.#options.onBatch?.(rows)
    return batch
  }

  #overloaded(wantedMs: number, now: number): ApiError {
    const message = 'Too many requests are waiting for the model; try again later, or allow more time.'
    return new ApiError('overloaded', message, {
      retryAfterSeconds: this.#retryAfterSeconds(now),
      mayBeHeldMs: SHARE_TO_HOLD * wantedMs,
    })
  }

  #deadlineExceeded({ until, wantedMs }: Job<Work, Result>, now: number): ApiError {
    const limitMs = until <= now ? wantedMs : this.#options.deadlineMs
    const message = `The model had no answer within ${Number(limitMs.toPrecision(3))} ms; try again later, or allow more time.`
    return new ApiError('deadline_exceeded', message, { retryAfterSeconds: this.#retryAfterSeconds(now) })
  }

  /** When nobody waits any more of those who wait now: they are answered then, or have given up. */
  #retryAfterSeconds(now: number): number {
    const waitMs = this.#expectedMs(this.#queuedRows, Math.ceil(this.#queuedShares), now)
    return Math.max(1, Math.ceil(Math.min(waitMs, this.#options.deadlineMs) / 1000))
  }

  async #compute(batch: readonly Job<Work, Result>[]): Promise<void> {
    try {
      const startedAt = performance.now()
      const results = await this.#options.compute(batch.map((job) => job.work))
      this.#times.add(rowsIn(batch), performance.now() - startedAt)
      for (let index = 0; index < batch.length; index += 1) batch[index]?.resolve(results[index] as Result)
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(modelFailed(error))
      // Law: one request's row must not fail another's. Which one it was shows when each runs alone.
      else for (const job of batch) await this.#compute([job])
    }
  }
}

function rowsIn(jobs: readonly { readonly rows: number }[]): number {
  let rows = 0
  for (const job of jobs) rows += job.rows
  return rows
}

/** The others are added to `others`. */
function kept<Item>(items: readonly Item[], isKept: (item: Item) => boolean, others: Item[]): Item[] {
  const found: Item[] = []
  for (const item of items) {
    if (isKept(item)) found.push(item)
    else others.push(item)
  }
  return found
}
