/** How long the next runs of the model will take at the least, as far as the last ones tell. */

const REMEMBERED = 8
/** Fewer tell nothing. */
const ENOUGH = 4

export class RunTimes {
  readonly #msPerRun: number[] = []
  readonly #msPerRow: number[] = []
  #next = 0
  #usual: { readonly msPerRun: number; readonly msPerRow: number } | undefined

  /** A run of so many rows has ended, in so many milliseconds. */
  add(rows: number, ms: number): void {
    this.#msPerRun[this.#next] = ms
    this.#msPerRow[this.#next] = ms / Math.max(1, rows)
    this.#next = (this.#next + 1) % REMEMBERED
    this.#usual = undefined
  }

  forget(): void {
    this.#msPerRun.length = 0
    this.#msPerRow.length = 0
    this.#next = 0
    this.#usual = undefined
  }

  /**
   * How long so many rows take in so many runs, in milliseconds; 0 while too few were timed.
   *
   * Law: rather too short than too long. The second least of the last times is not moved by runs that were held up. Where a run takes as long however
   * many its rows are, small runs say too much of a row; where each row takes its time, large runs say too much of a run: the lesser of both counts.
   */
  expectedMs(rows: number, runs: number): number {
    if (this.#msPerRun.length < ENOUGH) return 0
    this.#usual ??= { msPerRun: secondLeast(this.#msPerRun), msPerRow: secondLeast(this.#msPerRow) }
    return Math.min(runs * this.#usual.msPerRun, rows * this.#usual.msPerRow)
  }
}

function secondLeast(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[1] ?? 0
}
