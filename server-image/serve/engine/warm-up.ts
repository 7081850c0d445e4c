/** Runs before the first user: pays for the first runs, measures one, and asks whether rows may be computed together at all. */
import { feedsOf, outputsOf, type Row } from '../../model/rows.ts'
import type { LoadedModel } from '../../model/session.ts'
import type { TabularSignature } from '../../model/signature.ts'
import type { Tensor, Tensors } from '../../model/tensor.ts'
import { warmUp } from '../../model/warm-up.ts'

export interface WarmUpReport {
  /** Median duration of one run, in milliseconds; undefined when the model could not be run on made-up input. */
  readonly runMs?: number
  /**
   * False when a row's answer depends on its neighbours, or nobody could find out: such a model must not be given the rows of several
   * requests at once.
   */
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
      notes.push(`The warm-up ${outcome === 'failed' ? 'failed' : 'was skipped'}: ${'reason' in why ? why.reason : ''}`)
      return { rowsAreIndependent: false, notes }
    }
    durations.push(performance.now() - startedAt)
  }
  const { signature } = model
  const dependence = signature.kind === 'tabular' ? dependenceOfRows(model, signature) : undefined
  if (dependence !== undefined) notes.push(`Rows of different requests are not batched: ${dependence}`)
  durations.sort((a, b) => a - b)
  return { runMs: durations[durations.length >> 1] ?? 0, rowsAreIndependent: dependence === undefined, notes }
}

/** Values of made-up rows. A model may refuse some of them, as codes that it does not know. */
const FILLS = [0, 1, 2, 3]

/** Sums in another order may differ in the last bits. */
const TOLERANCE = 1e-3

/** Why rows must not be computed together: they depend on each other, or may do so; undefined when two of them were seen not to. */
function dependenceOfRows(model: LoadedModel, signature: TabularSignature): string | undefined {
  if (signature.maxRows === 1) return undefined
  const outputs = outputsOf(signature)
  const alone = FILLS.values()
    .flatMap((fill) => {
      const row = madeUpRow(signature, fill)
      const answer = runOrRefuse(model, feedsOf(signature, [row]), outputs)
      return answer === undefined ? [] : [{ row, answer }]
    })
    .take(2)
    .toArray()
  if (alone.length < 2)
    return 'the model refused the made-up rows that would have shown whether it computes each by itself.'
  const rows = alone.map(({ row }) => row)
  const together = runOrRefuse(model, feedsOf(signature, rows), outputs)
  const isSame = outputs.every((name) =>
    isConcatenation(
      together?.[name],
      alone.map(({ answer }) => answer[name]),
    ),
  )
  return isSame ? undefined : 'this model computes a row differently beside others.'
}

function runOrRefuse(model: LoadedModel, feeds: Tensors, outputs: readonly string[]): Tensors | undefined {
  try {
    return model.run(feeds, outputs)
  } catch {
    return undefined
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
