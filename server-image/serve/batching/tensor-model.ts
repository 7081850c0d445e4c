/** The model as a function from tensors to tensors, for several requests in one run where rows may be computed together. */
import { emptyData, type Tensor, type TensorData, type Tensors } from '../../model/tensor.ts'
import type { Engine } from '../engine/engine.ts'
import type { ModelFacts } from '../engine/open-model.ts'
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
    const results: Tensors[] = []
    for (const indexes of Map.groupBy(jobs.keys(), (index) => this.#kindOf(jobs, index)).values()) {
      const found = await this.#together(indexes.map((index) => jobs[index] as TensorJob))
      indexes.forEach((index, position) => (results[index] = found[position] as Tensors))
    }
    return results
  }

  /** Law: what does not have one number of rows stands alone, or its rows would be somebody else's. */
  #kindOf(jobs: readonly TensorJob[], index: number): string {
    const job = jobs[index] as TensorJob
    const rows = this.rowsOf(job)
    const isWhole = Object.values(job.feeds).every(({ shape }) => shape[0] === rows)
    return isWhole ? kindOf(job) : `alone ${index}`
  }

  async #alone({ feeds, outputs }: TensorJob): Promise<Tensors> {
    return this.#engine.run(feeds, outputs)
  }

  async #together(jobs: readonly TensorJob[]): Promise<Tensors[]> {
    const [first] = jobs
    if (first === undefined || jobs.length === 1) return inTurn(jobs, (job) => this.#alone(job))
    const rows = jobs.map((job) => this.rowsOf(job))
    const total = rows.reduce((sum, count) => sum + count, 0)
    const names = Object.keys(first.feeds)
    const feeds = Object.fromEntries(
      names.map((name) => [
        name,
        stacked(
          jobs.map((job) => job.feeds[name] as Tensor),
          total,
        ),
      ]),
    )
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
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, part(tensor, from, count)]))
    })
  }
}

/** Jobs of one kind differ in nothing but their rows. */
function kindOf({ feeds, outputs }: TensorJob): string {
  const shapes = Object.entries(feeds).map(([name, { shape }]) => [name, shape.slice(1)])
  return JSON.stringify([outputs, shapes.sort()])
}

function stacked(tensors: readonly Tensor[], rows: number): Tensor {
  const [{ datatype, shape }] = tensors as [Tensor]
  const size = tensors.reduce((sum, { data }) => sum + data.length, 0)
  const data = emptyData(datatype, size)
  let at = 0
  for (const { data: values } of tensors) {
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
