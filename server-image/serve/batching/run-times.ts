/** How long the next runs of the model will take at the least, as far as the last ones tell. */

const REMEMBERED = 16
/** Fewer tell nothing. */
const ENOUGH = 8

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
   * Law: rather too short than too long, where requests of as many rows are alike. The second least of the last times is not moved by runs
   * that were held up. Where a run takes as long however many its rows are, small runs say too much of a row; where each row takes its
   * time, large runs say too much of a run: the lesser of both counts.
   */
  expectedMs(rows: number, runs: number): number {
    const { msPerRun, msPerRow } = this.#known()
    return Math.min(runs * msPerRun, rows * msPerRow)
  }

  #known() {
    if (this.#timed < ENOUGH) return UNKNOWN
    this.#usual ??= { msPerRun: this.#secondLeast(this.#msPerRun), msPerRow: this.#secondLeast(this.#msPerRow) }
    return this.#usual
  }

  #secondLeast(times: Float64Array): number {
    const known = Math.min(this.#timed, REMEMBERED)
    let least = Infinity
    let second = Infinity
    for (let index = 0; index < known; index += 1) {
      const time = times[index] as number
      if (time < least) {
        second = least
        least = time
      } else if (time < second) second = time
    }
    return second
  }
}

const UNKNOWN = { msPerRun: 0, msPerRow: 0 }
