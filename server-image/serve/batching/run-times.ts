/** How long runs of the model take, as far as the last ones tell: requests of other sizes take other times, so it is no more than a hint. */

/** What the newest time counts for in what is remembered. */
const EASING = 1 / 4

export class RunTimes {
  #msPerRun: number | undefined
  #msPerRow: number | undefined

  /** Of the last runs, in milliseconds; undefined until one was timed. */
  get msPerRow(): number | undefined {
    return this.#msPerRow
  }

  /** A run of so many rows has ended, in so many milliseconds. */
  add(rows: number, ms: number): void {
    this.#msPerRun = eased(this.#msPerRun, ms)
    this.#msPerRow = eased(this.#msPerRow, ms / Math.max(1, rows))
  }

  /**
   * How long so many rows take, in runs of at most `maxRows`, in milliseconds; 0 until a run was timed.
   *
   * Law: rather too short than too long. Where a run takes as long however many its rows are, small runs say too much of a row; where each row takes
   * its time, large runs say too much of a run. The lesser of both is right for either, and close to it for what lies between.
   */
  expectedMs(rows: number, maxRows: number): number {
    if (this.#msPerRun === undefined || this.#msPerRow === undefined) return 0
    return Math.min(Math.ceil(rows / maxRows) * this.#msPerRun, rows * this.#msPerRow)
  }
}

function eased(known: number | undefined, newest: number): number {
  return known === undefined ? newest : known + (newest - known) * EASING
}
