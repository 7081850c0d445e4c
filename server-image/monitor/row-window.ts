/**
 * The recent rows, by a sample of bounded size: the window is cut into panes of equal time, each of which keeps an even sample of
 * what it saw (reservoir sampling, Vitter's algorithm R). The latest pane may use the room that the others leave, and gives it back by
 * an even choice when it is closed: the first rows of a server are all there. To observe a row costs a random number; memory does not grow with traffic
 * or with time, and whole panes are forgotten when they are too old.
 */

export interface WindowOptions {
  /** Rows older than this are forgotten, in milliseconds. */
  readonly windowMs: number
  /** Rows after which the older ones are forgotten, about. */
  readonly windowRows: number
  /** Rows that are kept at most. */
  readonly sampleRows: number
  /** Age at which a row counts half, in milliseconds; without it all rows of the window count the same. */
  readonly halfLifeMs?: number
  /** In [0, 1). */
  readonly random: () => number
}

/** Parts of the window: it slides by one of them at a time. */
const PANES = 6

interface Pane<Row> {
  readonly startedAt: number
  readonly capacity: number
  seen: number
  readonly kept: Row[]
}

export interface WindowSample<Row> {
  readonly rows: readonly Row[]
  /** How much each row counts: 1 when all rows of its pane are kept and none decays. */
  readonly weights: readonly number[]
  /** Rows of the window, kept or not. */
  readonly seen: number
}

export class RowWindow<Row> {
  readonly #options: WindowOptions
  readonly #paneMs: number
  readonly #paneRows: number
  readonly #paneSample: number
  #panes: Pane<Row>[] = []

  constructor(options: WindowOptions) {
    this.#options = options
    this.#paneMs = options.windowMs / PANES
    this.#paneRows = Math.max(1, Math.ceil(options.windowRows / PANES))
    this.#paneSample = Math.max(1, Math.floor(options.sampleRows / PANES))
  }

  /** @param row makes what is to be kept, and is asked only if it is; @param now in milliseconds, of a clock that never goes back */
  observe(row: () => Row, now: number): void {
    const pane = this.#paneAt(now)
    pane.seen += 1
    if (pane.kept.length < pane.capacity) pane.kept.push(row())
    else {
      const place = Math.floor(this.#options.random() * pane.seen)
      if (place < pane.kept.length) pane.kept[place] = row()
    }
  }

  sample(now: number): WindowSample<Row> {
    this.#forget(now)
    const { halfLifeMs } = this.#options
    const weights = this.#panes.flatMap(({ seen, kept, startedAt }) => {
      const decay = halfLifeMs === undefined ? 1 : 0.5 ** ((now - startedAt) / halfLifeMs)
      return new Array<number>(kept.length).fill((seen / kept.length) * decay)
    })
    return {
      rows: this.#panes.flatMap(({ kept }) => kept),
      weights,
      seen: this.#panes.reduce((sum, { seen }) => sum + seen, 0),
    }
  }

  #paneAt(now: number): Pane<Row> {
    const latest = this.#panes.at(-1)
    if (latest !== undefined && latest.seen < this.#paneRows && now - latest.startedAt < this.#paneMs) return latest
    this.#forget(now)
    if (this.#panes.length === PANES) this.#panes.shift()
    if (latest !== undefined) this.#shrink(latest)
    const taken = this.#panes.reduce((sum, { kept }) => sum + kept.length, 0)
    const pane = { startedAt: now, capacity: Math.max(1, this.#options.sampleRows - taken), seen: 0, kept: [] }
    this.#panes.push(pane)
    return pane
  }

  /** An even choice of an even sample is one as well. */
  #shrink({ kept }: Pane<Row>): void {
    while (kept.length > this.#paneSample) {
      const place = Math.floor(this.#options.random() * kept.length)
      const last = kept.pop() as Row
      if (place < kept.length) kept[place] = last
    }
  }

  #forget(now: number): void {
    const oldest = now - this.#options.windowMs
    this.#panes = this.#panes.filter(({ startedAt }) => startedAt > oldest)
  }
}
