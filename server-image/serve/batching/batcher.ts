/**
 * Micro-batching: whatever arrives within one turn of the event loop is computed together.
 *
 * A lone request waits for nothing but the turn to end; under load batches grow by themselves, as jobs gather while one
 * batch is computed. The queue is bounded in rows and in time, and a job that fails never takes its neighbours with it.
 */
import { ApiError } from '../api-error.ts'
import { modelFailed } from './model-failed.ts'

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
  readonly since: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: ApiError) => void
}

/** Seconds after which a refused client should come back: long enough for a full queue to empty. */
const RETRY_AFTER_SECONDS = 1

export class Batcher<Work, Result> {
  readonly #options: BatcherOptions<Work, Result>
  #queue: Job<Work, Result>[] = []
  #queuedRows = 0
  #computing = false
  #turn: NodeJS.Immediate | undefined
  #delay: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined

  constructor(options: BatcherOptions<Work, Result>) {
    this.#options = options
  }

  /** Rows that wait for their batch. */
  get queuedRows(): number {
    return this.#queuedRows
  }

  /** @throws ApiError `overloaded`, `deadline_exceeded` or `model_failed` (as a rejection) */
  submit(work: Work): Promise<Result> {
    const rows = this.#options.rowsOf(work)
    if (this.#queuedRows > 0 && this.#queuedRows + rows > this.#options.maxQueuedRows)
      return Promise.reject(overloaded())
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, rows, since: performance.now(), resolve, reject })
      this.#queuedRows += rows
      this.#schedule()
      this.#watchOldest()
    })
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
      this.#watchOldest()
      await this.#compute(batch)
      this.#computing = false
    }
    this.#schedule()
  }

  /** Whoever waits too long is told in time, however long the model takes over the batch before. */
  #watchOldest(): void {
    const [oldest] = this.#queue
    if (oldest === undefined || this.#expiry !== undefined || !this.#computing) return
    const leftMs = oldest.since + this.#options.deadlineMs - performance.now()
    this.#expiry = setTimeout(
      () => {
        this.#expiry = undefined
        this.#rejectExpired()
        this.#watchOldest()
      },
      Math.max(1, leftMs + 1),
    )
    this.#expiry.unref()
  }

  /** The queue is in order of arrival. */
  #rejectExpired(): void {
    const tooOld = performance.now() - this.#options.deadlineMs
    const kept = this.#queue.findIndex((job) => job.since >= tooOld)
    if (kept === 0 || this.#queue.length === 0) return
    const expired = this.#queue.splice(0, kept === -1 ? this.#queue.length : kept)
    for (const job of expired) {
      this.#queuedRows -= job.rows
      job.reject(deadlineExceeded(this.#options.deadlineMs))
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
    this.#queue = batch.length === this.#queue.length ? [] : this.#queue.slice(batch.length)
    if (rows > 0) this.#options.onBatch?.(rows)
    return batch
  }

  async #compute(batch: readonly Job<Work, Result>[]): Promise<void> {
    try {
      const results = await this.#options.compute(batch.map((job) => job.work))
      batch.forEach((job, index) => job.resolve(results[index] as Result))
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(modelFailed(error))
      // Law: one request's row must not fail another's. Which one it was shows when each runs alone.
      else for (const job of batch) await this.#compute([job])
    }
  }
}

function overloaded(): ApiError {
  return new ApiError('overloaded', 'Too many requests are waiting for the model; try again later.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}

function deadlineExceeded(deadlineMs: number): ApiError {
  return new ApiError(
    'deadline_exceeded',
    `The request waited for the model longer than ${deadlineMs} ms; try again later.`,
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  )
}
