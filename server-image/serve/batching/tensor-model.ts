/** The model as a function from tensors to tensors, for several requests in one run where rows may be computed together. */
import { emptyData, type Tensor, type TensorData, type Tensors } from '../../model/tensor.ts'
import type { Engine } from '../engine/engine.ts'
import type { ModelFacts } from '../engine/opened-model.ts'
import { inTurn } from './in-turn.ts'

/** One run of the model on tensors. */
export interface TensorJob {
  readonly feeds: Tensors
  /** All, unless some are named. */
  readonly outputs?: readonly string[]
}

export class TensorModel {
  readonly #engine: Engine
  #mayStack: boolean

  /** @param rowsAreIndependent whether a row's answer was seen not to depend on its neighbours */
  constructor(engine: Engine, { contract, signature }: ModelFacts, rowsAreIndependent: boolean) {
    this.#engine = engine
    const rows = [...contract.inputs, ...contract.outputs].every(({ shape }) => shape[0] === -1)
    this.#mayStack = rows && rowsAreIndependent && signature.kind === 'tabular' && signature.maxRows !== 1
  }

  /** False for a model that is to be asked for one request at a time. */
  get mayStack(): boolean {
    return this.#mayStack
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

  async #alone({ feeds, outputs }: TensorJob): Promise<Tensors> {
    return this.#engine.run(feeds, outputs)
  }

  async #together(jobs: readonly TensorJob[]): Promise<Tensors[]> {
    const [first] = jobs
    if (first === undefined || jobs.length === 1) return inTurn(jobs, (job) => this.#alone(job))
    const rows = jobs.map((job) => this.rowsOf(job))
    const total = rows.reduce((sum, count) => sum + count, 0)
    const feeds: Record<string, Tensor> = {}
    for (const name of Object.keys(first.feeds)) feeds[name] = stacked(jobs, name, total)
    const outputs = await this.#engine.run(feeds, first.outputs)
    if (Object.values(outputs).some(({ shape }) => shape[0] !== total)) {
      // What the contract calls rows are none: such a model is never asked for several requests at once again.
      this.#mayStack = false
      return inTurn(jobs, (job) => this.#alone(job))
    }
    let at = 0
    return rows.map((count) => {
      const from = at
      at += count
      const own: Record<string, Tensor> = {}
      for (const name in outputs) own[name] = part(outputs[name] as Tensor, from, count)
      return own
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

function stacked(jobs: readonly TensorJob[], name: string, rows: number): Tensor {
  const { datatype, shape } = jobs[0]?.feeds[name] as Tensor
  let size = 0
  for (const { feeds } of jobs) size += feeds[name]?.data.length ?? 0
  const data = emptyData(datatype, size)
  let at = 0
  for (const { feeds } of jobs) {
    const values = (feeds[name] as Tensor).data
    if (Array.isArray(data)) for (const [index, value] of (values as string[]).entries()) data[at + index] = value
    else (data as Float32Array).set(values as Float32Array, at)
    at += values.length
  }
  return { datatype, shape: [rows, ...shape.slice(1)], data }
}

function part({ datatype, shape, data }: Tensor, from: number, rows: number): Tensor {
  const [all = 1, ...inner] = shape
  const width = data.length / all
  const [begin, end] = [from * width, (from + rows) * width]
  const own: TensorData = Array.isArray(data) ? data.slice(begin, end) : data.subarray(begin, end)
  return { datatype, shape: [rows, ...inner], data: own }
}
