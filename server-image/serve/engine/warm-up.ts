/** Runs before the first user: pays for the first runs, measures one, and asks whether rows may be computed together at all. */
import { feedsOf, outputsOf, type Row } from '../../model/rows.ts'
import type { LoadedModel } from '../../model/session.ts'
import type { TabularSignature } from '../../model/signature.ts'
import type { Tensor, Tensors } from '../../model/tensor.ts'
import { warmUp } from '../../model/warm-up.ts'

export interface WarmUpReport {
  /** Median duration of one run, in milliseconds; undefined when the model could not be run on made-up input. */
  readonly runMs?: number
  /** False when a row's answer depends on its neighbours: such a model must not be given the rows of several requests at once. */
  readonly rowsAreIndependent: boolean
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
    if (outcome !== 'ran') {
      notes.push(`The warm-up was ${outcome}: ${'reason' in why ? why.reason : ''}`)
      return { rowsAreIndependent: true, notes }
    }
    durations.push(performance.now() - startedAt)
  }
  const { signature } = model
  const rowsAreIndependent = signature.kind !== 'tabular' || answersRowsAlone(model, signature)
  if (!rowsAreIndependent)
    notes.push('Rows of different requests are not batched: this model computes a row differently beside others.')
  durations.sort((a, b) => a - b)
  return { runMs: durations[durations.length >> 1] ?? 0, rowsAreIndependent, notes }
}

/** Sums in another order may differ in the last bits. */
const TOLERANCE = 1e-3

function answersRowsAlone(model: LoadedModel, signature: TabularSignature): boolean {
  if (signature.maxRows === 1) return true
  const outputs = outputsOf(signature)
  const rows = [0, 1].map((fill) => madeUpRow(signature, fill))
  try {
    const [first, second] = rows.map((row) => model.run(feedsOf(signature, [row]), outputs))
    const together = model.run(feedsOf(signature, rows), outputs)
    return outputs.every((name) => isConcatenation(together[name], [first?.[name], second?.[name]]))
  } catch {
    // A model may refuse made-up values, alone or together: that says nothing about batches.
    return true
  }
}

function madeUpRow({ features, featureCount }: TabularSignature, fill: number): Row {
  return featureCount === -1 ? [fill] : features.map(({ datatype }) => (datatype === 'BYTES' ? String(fill) : fill))
}

function isConcatenation(together: Tensors[string] | undefined, parts: readonly (Tensor | undefined)[]): boolean {
  const apart = parts.flatMap((part) => [...(part?.data ?? [])])
  const data = [...(together?.data ?? [])]
  return data.length === apart.length && data.every((value, index) => isClose(value, apart[index]))
}

function isClose(a: unknown, b: unknown): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return a === b
  return Object.is(a, b) || Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b))
}
