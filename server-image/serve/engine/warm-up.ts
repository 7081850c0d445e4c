/** Runs before the first user: pays for the first runs, measures one, and asks whether rows may be computed together at all. */
import { outputsOf } from '../../model/rows.ts'
import type { LoadedModel } from '../../model/session.ts'
import { warmUp } from '../../model/warm-up.ts'
import { dependenceOfRows, hasSizesOfItsOwn, sharesRows } from './independence.ts'

export interface WarmUpReport {
  /** Median duration of one run, in milliseconds; undefined when the model could not be run on made-up input. */
  readonly runMs?: number
  /**
   * False when a row's answer depends on its neighbours, or nobody could find out: such a model must not be given the rows of several
   * requests at once.
   */
  readonly rowsAreIndependent: boolean
  /** The same of tensors, for all outputs, and for models that take no rows of features. */
  readonly tensorsAreIndependent: boolean
  /** What people should know, one line each. */
  readonly notes: readonly string[]
}

/** @param runs at least one is made, so that readiness means that the model computes */
export function warmUpModel(model: LoadedModel, runs: number): WarmUpReport {
  const durations: number[] = []
  const notes: string[] = []
  for (let run = 0; run < Math.max(1, runs); run += 1) {
    const startedAt = performance.now()
    const { outcome, ...why } = warmUp(model)
    const reason = 'reason' in why ? why.reason : ''
    if (outcome === 'failed') {
      notes.push(`The warm-up failed: ${reason}`)
      return { rowsAreIndependent: false, tensorsAreIndependent: false, notes }
    }
    if (outcome === 'skipped') {
      notes.push(`The warm-up was skipped: ${reason}`)
      break
    }
    durations.push(performance.now() - startedAt)
  }
  const independence = independenceOf(model, notes)
  durations.sort((a, b) => a - b)
  const runMs = durations[durations.length >> 1]
  return { ...(runMs !== undefined && { runMs }), ...independence, notes }
}

/** Rows for `/predict` need not know the outputs that no prediction is made of. */
function independenceOf(
  model: LoadedModel,
  notes: string[],
): Pick<WarmUpReport, 'rowsAreIndependent' | 'tensorsAreIndependent'> {
  const { signature, contract } = model
  const ofTensors = sharesRows(contract) ? dependenceOfTensors(model) : NO_ROWS
  const tensorsAreIndependent = ofTensors === undefined
  if (signature.kind !== 'tabular') {
    if (!tensorsAreIndependent && ofTensors !== NO_ROWS) notes.push(`Requests are not batched: ${ofTensors}`)
    return { rowsAreIndependent: false, tensorsAreIndependent }
  }
  if (signature.maxRows === 1 || tensorsAreIndependent) return { rowsAreIndependent: true, tensorsAreIndependent }
  const ofRows = dependenceOfRows(model, outputsOf(signature))
  if (ofRows !== undefined) notes.push(`Rows of different requests are not batched: ${ofRows}`)
  return { rowsAreIndependent: ofRows === undefined, tensorsAreIndependent }
}

/** No reason to tell of: the contract says it. */
const NO_ROWS = 'its inputs and outputs do not have one number of rows.'

function dependenceOfTensors(model: LoadedModel): string | undefined {
  if (hasSizesOfItsOwn(model.contract)) return 'the size of an output depends on values.'
  return dependenceOfRows(
    model,
    model.contract.outputs.map(({ name }) => name),
  )
}
