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
import { WaitingJobs, type Waiting } from './waiting-jobs.ts'

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

interface Job<Work, Result> extends Waiting {
  readonly work: Work
  /** How long its client waits for an answer, in milliseconds. */
  readonly wantedMs: number
  /** When its client waits no longer. */
  readonly until: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: ApiError) => void
}

/** After so long without a run the model, its core or its requests may be others. */
const PAUSE_MS = 1_000
/** Of the time that a client has, or that a job may wait, a refusal may be held for so much. */
const SHARE_TO_HOLD = 1 / 4

export class Batcher<Work, Result> {
  readonly #options: BatcherOptions<Work, Result>
  readonly #waiting = new WaitingJobs<Job<Work, Result>>()
  /** The batch that is computed now. */
  #running: readonly Job<Work, Result>[] = []
  #runningUntil = Infinity
  #runningRows = 0
  #runningSince = 0
  #computing = false
  readonly #times = new RunTimes()
  #lastEndedAt = 0
  #turn: NodeJS.Immediate | undefined
  #delay: NodeJS.Timeout | undefined
  #expiry: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: BatcherOptions<Work, Result>) {
    this.#options = options
  }

  /** Rows that wait for their batch. */
  get queuedRows(): number {
    return this.#waiting.rows
  }

  /**
   * @param wantedMs how long the client waits for an answer, in milliseconds
   * @throws ApiError `overloaded`, `deadline_exceeded` or `model_failed` (as a rejection)
   */
  submit(work: Work, wantedMs = Infinity): Promise<Result> {
    const rows = this.#options.rowsOf(work)
    const now = performance.now()
    const until = now + wantedMs
    const waitsUntil = Math.min(until, now + this.#options.deadlineMs)
    this.#rejectExpired(now)
    if (this.#waiting.rows > 0) {
      const isFull = this.#waiting.rows + rows > this.#options.maxQueuedRows
      if (isFull || this.#isInVain({ rows, until, waitsUntil }, now))
        return Promise.reject(this.#overloaded(wantedMs, now))
    } else if (!this.#computing && now - this.#lastEndedAt > PAUSE_MS) this.#times.forget()
    return new Promise((resolve, reject) => {
      this.#waiting.add({ work, rows, wantedMs, until, waitsUntil, resolve, reject })
      this.#schedule()
      this.#watchTime()
    })
  }

  /**
   * Whether a job would not be in a batch or not be answered in time, as far as the last runs tell.
   *
   * Law: nobody is refused for it unless others wait. So the model has its next run whoever is refused, and each run tells anew.
   */
  #isInVain(
    { rows, until, waitsUntil }: Pick<Job<Work, Result>, 'rows' | 'until' | 'waitsUntil'>,
    now: number,
  ): boolean {
    const maxRows = this.#options.maxRows()
    const before = this.#waiting.fullBatches(maxRows)
    const freeAt = this.#freeAt(now)
    // When those before are answered, or have given up and what is computed then is done.
    const turnAt = Math.min(
      freeAt + this.#times.expectedMs(before.rows, before.batches),
      Math.max(freeAt, this.#waiting.latest) + this.#times.msPerRun,
    )
    return turnAt > waitsUntil || turnAt + this.#times.expectedMs(rows, 1) > until
  }

  /** When what is computed now will be done. */
  #freeAt(now: number): number {
    return Math.max(now, this.#runningSince + this.#times.expectedMs(this.#runningRows, 1))
  }

  #schedule(): void {
    if (this.#computing || this.#turn !== undefined || this.#waiting.count === 0) return
    if (this.#options.maxDelayMs === 0 || this.#waiting.rows >= this.#options.maxRows()) {
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
      if (this.#runningRows > 0) this.#options.onBatch?.(this.#runningRows)
      this.#watchTime()
      await this.#compute(batch)
      this.#running = []
      this.#runningRows = 0
      this.#runningUntil = Infinity
      this.#computing = false
      this.#lastEndedAt = performance.now()
    }
    this.#schedule()
  }

  /** Whoever waits too long is told in time, however long the model takes over its batch or the one before. */
  #watchTime(): void {
    if (!this.#computing) return
    const at = Math.min(this.#waiting.soonest, this.#runningUntil)
    if (at === Infinity || (this.#expiry !== undefined && this.#expiry.at <= at)) return
    clearTimeout(this.#expiry?.timer)
    const timer = setTimeout(
      () => {
        this.#expiry = undefined
        this.#rejectExpired(performance.now())
        this.#watchTime()
      },
      Math.max(1, at - performance.now() + 1),
    )
    timer.unref()
    this.#expiry = { at, timer }
  }

  #rejectExpired(now: number): void {
    // What comes of a run that nobody waits for any more is lost when it ends.
    if (this.#runningUntil <= now) {
      this.#rejectLate(
        this.#running.filter(({ until }) => until <= now),
        now,
      )
      this.#running = this.#running.filter(({ until }) => until > now)
      this.#runningUntil = Math.min(...this.#running.map(({ until }) => until))
    }
    if (this.#waiting.soonest <= now) {
      this.#rejectLate(
        this.#waiting.remove(({ waitsUntil }) => waitsUntil <= now),
        now,
      )
    }
  }

  #rejectLate(jobs: readonly Job<Work, Result>[], now: number): void {
    for (const { reject, until, waitsUntil, wantedMs } of jobs)
      reject(this.#deadlineExceeded(until <= waitsUntil ? wantedMs : this.#options.deadlineMs, now))
  }

  #takeBatch(): Job<Work, Result>[] {
    const now = performance.now()
    this.#rejectExpired(now)
    this.#passOver(now)
    return this.#waiting.take(this.#options.maxRows())
  }

  /**
   * Those who would have given up before their run ends make room for others.
   *
   * Law: only where there are others, so that the model never waits, and each run tells anew.
   */
  #passOver(now: number): void {
    if (this.#waiting.count < 2 || this.#waiting.soonest > now + this.#times.msPerRun) return
    const isLost = ({ rows, until }: Job<Work, Result>) => now + this.#times.expectedMs(rows, 1) > until
    if (!this.#waiting.some(isLost) || !this.#waiting.some((job) => !isLost(job))) return
    this.#rejectLate(this.#waiting.remove(isLost), now)
  }

  async #compute(batch: readonly Job<Work, Result>[]): Promise<void> {
    const startedAt = performance.now()
    const timed = () => this.#times.add(rowsIn(batch), performance.now() - startedAt)
    try {
      const results = await this.#options.compute(batch.map((job) => job.work))
      timed()
      for (let index = 0; index < batch.length; index += 1) batch[index]?.resolve(results[index] as Result)
    } catch (error) {
      // Law: one request's row must not fail another's. Which one it was shows when each runs alone.
      if (batch.length > 1) for (const job of batch) await this.#compute([job])
      else {
        timed()
        batch[0]?.reject(modelFailed(error))
      }
    }
  }

  #overloaded(wantedMs: number, now: number): ApiError {
    const message = 'Too many requests are waiting for the model; try again later, or allow more time.'
    return new ApiError('overloaded', message, {
      retryAfterSeconds: this.#retryAfterSeconds(now),
      mayBeHeldMs: SHARE_TO_HOLD * Math.min(wantedMs, this.#options.deadlineMs),
    })
  }

  #deadlineExceeded(limitMs: number, now: number): ApiError {
    const message = `The model had no answer within ${Number(limitMs.toPrecision(3))} ms; try again later, or allow more time.`
    return new ApiError('deadline_exceeded', message, { retryAfterSeconds: this.#retryAfterSeconds(now) })
  }

  /** When nobody waits any more of those who wait now: they are answered then, or have given up. */
  #retryAfterSeconds(now: number): number {
    const { rows, batches } = this.#waiting.backlog(this.#options.maxRows())
    const doneAt = Math.min(this.#freeAt(now) + this.#times.expectedMs(rows, batches), this.#waiting.latest)
    return Math.max(1, Math.ceil((doneAt - now) / 1000))
  }
}

function rowsIn(jobs: readonly { readonly rows: number }[]): number {
  let rows = 0
  for (const job of jobs) rows += job.rows
  return rows
}
