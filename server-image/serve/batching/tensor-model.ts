/** The model as a function from tensors to tensors, for several requests in one run where rows may be computed together. */
import type { Tensors } from '../../model/tensor.ts'
import type { Engine } from '../engine/engine.ts'
import { sharesRows } from '../engine/independence.ts'
import type { ModelFacts } from '../engine/opened-model.ts'
import { inTurn } from './in-turn.ts'
import { partOf, stackedTensors } from './stack.ts'

/** One run of the model on tensors. */
export interface TensorJob {
  readonly feeds: Tensors
  /** All, unless some are named. */
  readonly outputs?: readonly string[]
}

/** What one run of several requests may take: nobody waits much longer for the others than for their own. */
const LONGEST_RUN_MS = 100
/** What the newest time counts for in what is remembered. */
const EASING = 1 / 4

export class TensorModel {
  readonly #engine: Engine
  #mayStack: boolean
  /** Of the last runs. Requests of other sizes take other times, so it is no more than a hint. */
  #msPerRow: number | undefined

  /** @param rowsAreIndependent whether a row's answer was seen not to depend on its neighbours */
  constructor(engine: Engine, { contract }: Pick<ModelFacts, 'contract'>, rowsAreIndependent: boolean) {
    this.#engine = engine
    this.#mayStack = rowsAreIndependent && sharesRows(contract)
  }

  /** False for a model that is to be asked for one request at a time. */
  get mayStack(): boolean {
    return this.#mayStack
  }

  /** How many rows are worth computing in one run: one, until the first run was timed. */
  get worthwhileRows(): number {
    if (!this.#mayStack || this.#msPerRow === undefined) return 1
    return Math.max(1, Math.floor(LONGEST_RUN_MS / this.#msPerRow))
  }

  rowsOf({ feeds }: TensorJob): number {
    const [first] = Object.values(feeds)
    return this.#mayStack ? (first?.shape[0] ?? 1) : 1
  }

  /** @throws Error when the model fails on one of the jobs (as a rejection) */
  async run(jobs: readonly TensorJob[]): Promise<Tensors[]> {
    if (jobs.length === 1 || !this.#mayStack) return inTurn(jobs, (job) => this.#alone(job))
    const groups = this.#alike(jobs)
    if (groups.length === 1) return this.#together(jobs)
    const results: Tensors[] = []
    for (const indexes of groups) {
      const found = await this.#together(indexes.map((index) => jobs[index] as TensorJob))
      indexes.forEach((index, position) => (results[index] = found[position] as Tensors))
    }
    return results
  }

  /**
   * Indexes of jobs that may be computed in one run.
   *
   * Law: what does not have one number of rows stands alone, or its rows would be somebody else's.
   */
  #alike(jobs: readonly TensorJob[]): number[][] {
    const groups: number[][] = []
    for (let index = 0; index < jobs.length; index += 1) {
      const job = jobs[index] as TensorJob
      const isWhole = this.#isWhole(job)
      const group = groups.find(
        ([first = 0]) => isWhole && this.#isWhole(jobs[first] as TensorJob) && isAlike(job, jobs[first] as TensorJob),
      )
      if (group === undefined) groups.push([index])
      else group.push(index)
    }
    return groups
  }

  #isWhole(job: TensorJob): boolean {
    const rows = this.rowsOf(job)
    for (const name in job.feeds) if (job.feeds[name]?.shape[0] !== rows) return false
    return true
  }

  async #alone(job: TensorJob): Promise<Tensors> {
    return this.#timed(job, this.rowsOf(job))
  }

  async #timed({ feeds, outputs }: TensorJob, rows: number): Promise<Tensors> {
    const startedAt = performance.now()
    const answer = await this.#engine.run(feeds, outputs)
    const taken = (performance.now() - startedAt) / Math.max(1, rows)
    const known = this.#msPerRow ?? taken
    this.#msPerRow = known + (taken - known) * EASING
    return answer
  }

  async #together(jobs: readonly TensorJob[]): Promise<Tensors[]> {
    const [first] = jobs
    if (first === undefined || jobs.length === 1) return inTurn(jobs, (job) => this.#alone(job))
    const rows = jobs.map((job) => this.rowsOf(job))
    const total = rows.reduce((sum, count) => sum + count, 0)
    const feeds = stackedTensors(
      jobs.map((job) => job.feeds),
      total,
    )
    const outputs = await this.#timed({ ...first, feeds }, total)
    if (Object.values(outputs).some(({ shape }) => shape[0] !== total)) {
      // What the contract calls rows are none: such a model is never asked for several requests at once again.
      this.#mayStack = false
      return inTurn(jobs, (job) => this.#alone(job))
    }
    let at = 0
    return rows.map((count) => {
      const from = at
      at += count
      return partOf(outputs, from, count)
    })
  }
}

/** They differ in nothing but their rows. */
function isAlike(job: TensorJob, other: TensorJob): boolean {
  if (job === other) return true
  if (!isSame(job.outputs ?? [], other.outputs ?? [], 0)) return false
  for (const name in job.feeds) {
    const [shape, otherShape] = [job.feeds[name]?.shape ?? [], other.feeds[name]?.shape]
    if (otherShape === undefined || !isSame(shape, otherShape, 1)) return false
  }
  return true
}

function isSame<Item>(list: readonly Item[], other: readonly Item[], from: number): boolean {
  if (list === other) return true
  if (list.length !== other.length) return false
  for (let at = from; at < list.length; at += 1) if (list[at] !== other[at]) return false
  return true
}
