/** The loaded model behind its queues: what the routes ask for answers. */
import type { LoadedModel } from '../model/session.ts'
import type { Prediction } from '../model/rows.ts'
import type { Signature } from '../model/signature.ts'
import type { Tensors } from '../model/tensor.ts'
import type { ModelContract } from '../../protocol/resolve.ts'
import { Batcher } from './batching/batcher.ts'
import type { Engine } from './engine.ts'
import { RowModel, type Rows } from './predict/row-model.ts'

export interface BatchingOptions {
  readonly maxRows: number
  readonly maxDelayMs: number
  readonly maxQueuedRows: number
  readonly deadlineMs: number
}

/** One run of the model on tensors. */
export interface TensorJob {
  readonly feeds: Tensors
  /** All, unless some are named. */
  readonly outputs?: readonly string[]
}

export interface ServedModel {
  readonly sha256: string
  readonly contract: ModelContract
  readonly signature: Signature
  /** @throws ApiError (as a rejection) */
  predict(rows: Rows): Promise<Prediction[]>
  /** @throws ApiError (as a rejection) */
  infer(job: TensorJob): Promise<Tensors>
  /** Requests' rows that wait for the model. */
  readonly queuedRows: number
}

/** What happens in the model's queues, for metrics. */
export interface ModelObserver {
  /** Told of the rows of each batch. */
  readonly onBatch: (rows: number) => void
  /** Told of each class that was predicted. */
  readonly onClass: (label: number | string) => void
}

export function serveModel(
  model: LoadedModel,
  engine: Engine,
  batching: BatchingOptions,
  { onBatch, onClass }: ModelObserver,
): ServedModel {
  const { signature, contract, sha256 } = model
  const tensors = new Batcher<TensorJob, Tensors>({
    ...batching,
    maxDelayMs: 0,
    maxRows: 1,
    rowsOf: () => 1,
    compute: async ([job]) => [await engine.run(job?.feeds ?? {}, job?.outputs)],
  })
  const countClasses = signature.kind === 'tabular' && signature.task === 'classification'
  const rowModel = signature.kind === 'tabular' ? new RowModel(engine, signature) : undefined
  const rows = new Batcher<Rows, Prediction[]>({
    ...batching,
    rowsOf: (rows) => rows.length,
    compute: async (requests) => (await rowModel?.predict(requests)) ?? [],
    onBatch,
  })
  return {
    sha256,
    contract,
    signature,
    async predict(request) {
      const predictions = await rows.submit(request)
      if (countClasses) for (const { prediction } of predictions) onClass(prediction)
      return predictions
    },
    infer: (job) => tensors.submit(job),
    get queuedRows() {
      return rows.queuedRows + tensors.queuedRows
    },
  }
}
