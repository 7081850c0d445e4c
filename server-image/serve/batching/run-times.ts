/** How long the next runs of the model will take at the least, as far as the last ones tell. */

/** Fewer tell nothing. */
const REMEMBERED = 8

export class RunTimes {
  readonly #msPerRun = new Float64Array(REMEMBERED)
  readonly #msPerRow = new Float64Array(REMEMBERED)
  #timed = 0
  #usual: { readonly msPerRun: number; readonly msPerRow: number } | undefined

  /** In milliseconds; 0 while too few were timed. */
  get msPerRun(): number {
    return this.#known().msPerRun
  }

  /** A run of so many rows has ended, in so many milliseconds. */
  add(rows: number, ms: number): void {
    const at = this.#timed % REMEMBERED
    this.#msPerRun[at] = ms
    this.#msPerRow[at] = ms / Math.max(1, rows)
    this.#timed += 1
    this.#usual = undefined
  }

  forget(): void {
    this.#timed = 0
    this.#usual = undefined
  }

  /**
   * How long so many rows take in so many runs, in milliseconds; 0 while too few were timed.
   *
   * Law: rather too short than too long. The second least of the last times is not moved by runs that were held up. Where a run takes as long however
   * many its rows are, small runs say too much of a row; where each row takes its time, large runs say too much of a run: the lesser of both counts.
   */
  expectedMs(rows: number, runs: number): number {
    const { msPerRun, msPerRow } = this.#known()
    return Math.min(runs * msPerRun, rows * msPerRow)
  }

  #known() {
    if (this.#timed < REMEMBERED) return UNKNOWN
    this.#usual ??= { msPerRun: secondLeast(this.#msPerRun), msPerRow: secondLeast(this.#msPerRow) }
    return this.#usual
  }
}

const UNKNOWN = { msPerRun: 0, msPerRow: 0 }

function secondLeast(times: Float64Array): number {
  let least = Infinity
  let second = Infinity
  for (const time of times) {
    if (time < least) [least, second] = [time, least]
    else if (time < second) second = time
  }
  return second
}
