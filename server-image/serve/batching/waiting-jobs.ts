/** Jobs that wait for their batch, in the order of their arrival, and how many batches they will be. */

export interface Waiting {
  readonly rows: number
  /** When it must be in a batch. */
  readonly waitsUntil: number
}

/** Rows, in so many batches. */
export interface Backlog {
  readonly rows: number
  readonly batches: number
}

export class WaitingJobs<Job extends Waiting> {
  #jobs: Job[] = []
  #rows = 0
  #soonest = Infinity
  #latest = -Infinity
  /** The size of a batch that the next two were counted for. */
  #maxRows = 1
  /** Jobs that are a batch of their own. */
  #whole = 0
  /** Of all others. */
  #rowsToShare = 0

  get rows(): number {
    return this.#rows
  }

  get count(): number {
    return this.#jobs.length
  }

  /** None stops waiting sooner; Infinity when none waits. */
  get soonest(): number {
    return this.#soonest
  }

  /** None waits longer. */
  get latest(): number {
    return this.#latest
  }

  add(job: Job): void {
    this.#jobs.push(job)
    this.#count(job)
  }

  /** The next batch. A job of more rows than a batch has is one of its own. */
  take(maxRows: number): Job[] {
    const batch: Job[] = []
    let rows = 0
    for (const job of this.#jobs) {
      if (batch.length > 0 && rows + job.rows > maxRows) break
      rows += job.rows
      batch.push(job)
    }
    if (batch.length === this.#jobs.length) {
      this.#jobs = []
      this.#countAll()
    } else {
      this.#jobs = this.#jobs.slice(batch.length)
      // Soonest and latest may be those of the batch, until all are counted again: bounds they are still.
      for (const job of batch) this.#discount(job)
    }
    return batch
  }

  /** Takes out those for which it is so. */
  remove(isSo: (job: Job) => boolean): Job[] {
    const removed: Job[] = []
    const others: Job[] = []
    for (const job of this.#jobs) (isSo(job) ? removed : others).push(job)
    this.#jobs = others
    this.#countAll()
    return removed
  }

  some(isSo: (job: Job) => boolean): boolean {
    return this.#jobs.some(isSo)
  }

  /** All that wait, in batches of that size at the most. */
  backlog(maxRows: number): Backlog {
    this.#sizeTo(maxRows)
    return { rows: this.#rows, batches: this.#whole + Math.ceil(this.#rowsToShare / maxRows) }
  }

  /** Those in batches that have no room for another row. */
  fullBatches(maxRows: number): Backlog {
    this.#sizeTo(maxRows)
    const rowsOfLast = this.#rowsToShare % maxRows
    return { rows: this.#rows - rowsOfLast, batches: this.#whole + (this.#rowsToShare - rowsOfLast) / maxRows }
  }

  #sizeTo(maxRows: number): void {
    if (maxRows === this.#maxRows) return
    this.#maxRows = maxRows
    this.#countAll()
  }

  #countAll(): void {
    this.#rows = 0
    this.#soonest = Infinity
    this.#latest = -Infinity
    this.#whole = 0
    this.#rowsToShare = 0
    for (const job of this.#jobs) this.#count(job)
  }

  #count({ rows, waitsUntil }: Job): void {
    this.#rows += rows
    if (rows >= this.#maxRows) this.#whole += 1
    else this.#rowsToShare += rows
    this.#soonest = Math.min(this.#soonest, waitsUntil)
    this.#latest = Math.max(this.#latest, waitsUntil)
  }

  #discount({ rows }: Job): void {
    this.#rows -= rows
    if (rows >= this.#maxRows) this.#whole -= 1
    else this.#rowsToShare -= rows
  }
}
