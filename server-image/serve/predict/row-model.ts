/** The model as a function from rows of features to predictions, for several requests in one run. */
import { feedsOf, outputsOf, predictionsOf, type Prediction, type Row } from '../../model/rows.ts'
import type { TabularSignature } from '../../model/signature.ts'
import { inTurn } from '../batching/in-turn.ts'
import type { Engine } from '../engine/engine.ts'

/** The rows of one request. */
export type Rows = readonly Row[]

export class RowModel {
  readonly #engine: Engine
  readonly #signature: TabularSignature
  readonly #outputs: readonly string[]

  constructor(engine: Engine, signature: TabularSignature) {
    this.#engine = engine
    this.#signature = signature
    this.#outputs = outputsOf(signature)
  }

  /** @throws Error when the model fails on these rows, with ONNX Runtime's words (as a rejection) */
  async predict(requests: readonly Rows[]): Promise<Prediction[][]> {
    const rows = requests.length === 1 ? (requests[0] ?? []) : requests.flat()
    const predictions = await this.#predictRows(rows)
    if (requests.length === 1) return [predictions]
    let at = 0
    return requests.map((request) => predictions.slice(at, (at += request.length)))
  }

  async #predictRows(rows: Rows): Promise<Prediction[]> {
    if (rows.length === 1) return this.#run(rows)
    if (this.#signature.maxRows === 1) return (await inTurn(rows, (row) => this.#run([row]))).flat()
    if (this.#signature.featureCount === -1) return this.#predictByLength(rows)
    return this.#run(rows)
  }

  /** Rows of different lengths are different shapes of the input, so each length is a run of its own. */
  async #predictByLength(rows: Rows): Promise<Prediction[]> {
    const byLength = Map.groupBy(rows.keys(), (index) => rows[index]?.length ?? 0)
    const predictions: Prediction[] = []
    for (const indexes of byLength.values()) {
      const found = await this.#run(indexes.map((index) => rows[index] as Row))
      indexes.forEach((index, position) => (predictions[index] = found[position] as Prediction))
    }
    return predictions
  }

  async #run(rows: Rows): Promise<Prediction[]> {
    const outputs = await this.#engine.run(feedsOf(this.#signature, rows), this.#outputs)
    return predictionsOf(this.#signature, outputs, rows.length)
  }
}
