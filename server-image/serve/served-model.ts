/** The loaded model behind its queues: what the routes ask for answers. */
import type { RowAt } from '../monitor/monitor.ts'
import { rowCountOf, rowOfFeeds } from '../monitor/tensor-rows.ts'
import type { AnswerId } from '../monitor/recent-answers.ts'
import { outputsOf, predictionsOf, type Prediction } from '../model/rows.ts'
import type { Signature, TabularSignature } from '../model/signature.ts'
import type { Tensors } from '../model/tensor.ts'
import type { ModelContract } from '../../protocol/resolve.ts'
import { Batcher } from './batching/batcher.ts'
import { TensorModel, type TensorJob } from './batching/tensor-model.ts'
import type { Engine } from './engine/engine.ts'
import type { ModelFacts } from './engine/opened-model.ts'
import { RowModel, type Rows } from './predict/row-model.ts'

export interface BatchingOptions {
  readonly maxRows: number
  /** Of requests by tensors, where that is another number. */
  readonly maxTensorRows?: number
  readonly maxDelayMs: number
  readonly maxQueuedRows: number
  readonly deadlineMs: number
}

export interface ServedModel {
  readonly sha256: string
  readonly contract: ModelContract
  readonly signature: Signature
  /** @throws ApiError (as a rejection) */
  predict(rows: Rows, id: AnswerId, timeoutMs?: number): Promise<Prediction[]>
  /** @throws ApiError (as a rejection) */
  infer(job: TensorJob, id: AnswerId, timeoutMs?: number): Promise<Tensors>
  /** Computes at once, past the queues, and neither counted nor observed: for inputs that no client sent. */
  readonly run: Engine['run']
  /** Requests' rows that wait for the model. */
  readonly queuedRows: number
}

/** What happens in the model's queues, for metrics. */
export interface ModelObserver {
  /** Told of the rows of each batch. */
  readonly onBatch: (rows: number) => void
  /** Told of each class that was predicted. */
  readonly onClass: (label: number | string) => void
  /** Told of each request that was answered; must be quick. */
  readonly onAnswer: (id: AnswerId, rowAt: RowAt, predictions: readonly Prediction[]) => void
}

export function serveModel(
  model: ModelFacts,
  engine: Engine,
  batching: BatchingOptions,
  { onBatch, onClass, onAnswer }: ModelObserver,
): ServedModel {
  const { signature, contract, sha256 } = model
  const { maxTensorRows = batching.maxRows } = batching
  const tensorModel = new TensorModel(engine, model, maxTensorRows > 1)
  const tensors = new Batcher<TensorJob, Tensors>({
    ...batching,
    maxRows: () => Math.min(maxTensorRows, tensorModel.worthwhileRows),
    rowsOf: (job) => tensorModel.rowsOf(job),
    compute: (jobs) => tensorModel.run(jobs),
    onBatch,
  })
  const countClasses = signature.kind === 'tabular' && signature.task === 'classification'
  const rowModel = signature.kind === 'tabular' ? new RowModel(engine, signature) : undefined
  // A model of one row a run is asked request by request, so that nobody waits for a whole batch of them.
  const maxRows = signature.kind === 'tabular' && signature.maxRows === 1 ? 1 : batching.maxRows
  const rows = new Batcher<Rows, Prediction[]>({
    ...batching,
    maxRows: () => maxRows,
    rowsOf: (rows) => rows.length,
    compute: async (requests) => (await rowModel?.predict(requests)) ?? [],
    onBatch,
  })
  const predicting = signature.kind === 'tabular' ? outputsOf(signature) : []
  const answered: ModelObserver['onAnswer'] = (id, rowAt, predictions) => {
    if (countClasses) for (const { prediction } of predictions) onClass(prediction)
    onAnswer(id, rowAt, predictions)
  }
  return {
    sha256,
    contract,
    signature,
    async predict(request, id, timeoutMs) {
      const predictions = await rows.submit(request, timeoutMs)
      answered(id, (index) => request[index], predictions)
      return predictions
    },
    async infer(job, id, timeoutMs) {
      const outputs = await tensors.submit(job, timeoutMs)
      if (signature.kind === 'tabular') {
        const predictions = hasAll(outputs, predicting)
          ? predictionsOfTensors(signature, job.feeds, outputs)
          : undefined
        // Rows are made of the tensors one by one, when somebody looks at them: most are never looked at.
        if (predictions !== undefined) answered(id, (row) => rowOfFeeds(signature, job.feeds, row), predictions)
      }
      return outputs
    },
    run: (feeds, names) => engine.run(feeds, names),
    get queuedRows() {
      return rows.queuedRows + tensors.queuedRows
    },
  }
}

/** Clients of tensors need not ask for the outputs that hold the prediction. */
function hasAll(outputs: Tensors, names: readonly string[]): boolean {
  for (const name of names) if (outputs[name] === undefined) return false
  return true
}

/** What was answered by tensors, row by row; undefined when it cannot be read so. */
function predictionsOfTensors(
  signature: TabularSignature,
  feeds: Tensors,
  outputs: Tensors,
): readonly Prediction[] | undefined {
  try {
    return predictionsOf(signature, outputs, rowCountOf(signature, feeds))
  } catch {
    // Law: what cannot be read as rows is still a right answer in tensors.
    return undefined
  }
}
