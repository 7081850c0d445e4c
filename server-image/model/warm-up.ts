/** One run on made-up rows: it shows that a model computes at all, and pays the first run's costs before a user does. */
import type { TensorContract } from '../../protocol/resolve.ts'
import { oneLine } from './model-error.ts'
import { feedsOf, outputsOf, predictionsOf } from './rows.ts'
import type { LoadedModel } from './session.ts'
import type { TabularSignature } from './signature.ts'
import { elementCount, emptyData, type Datatype, type TensorData, type Tensors } from './tensor.ts'

export type WarmUp =
  | { readonly outcome: 'ran' }
  /** Sizes that may vary in more than the batch dimension: no made-up input is sure to suit the model. */
  | { readonly outcome: 'skipped'; readonly reason: string }
  | { readonly outcome: 'failed'; readonly reason: string }

/** Larger inputs than this are not made up. */
const MAX_WARM_UP_ELEMENTS = 64 * 1024 * 1024

/**
 * Runs the model once on zeros, and on ones if it fails on those: a model may rightly refuse one of them (a code that it
 * does not know), but one that computes with neither will hardly compute at all.
 */
export function warmUp(model: LoadedModel): WarmUp {
  const { signature } = model
  if (signature.kind === 'none' && !model.contract.inputs.every(hasKnownSize)) {
    return { outcome: 'skipped', reason: 'The sizes of its inputs may vary, so no input could be made up.' }
  }
  let reason = ''
  for (const fill of [0, 1] as const) {
    try {
      if (signature.kind === 'tabular') runRow(model, signature, fill)
      else model.run(Object.fromEntries(model.contract.inputs.map((input) => [input.name, madeUp(input, fill)])))
      return { outcome: 'ran' }
    } catch (error) {
      reason = oneLine(error instanceof Error ? error.message : String(error), 400)
    }
  }
  return { outcome: 'failed', reason }
}

function runRow(model: LoadedModel, signature: TabularSignature, fill: 0 | 1): void {
  const row = signature.features.map(({ datatype }) => (datatype === 'BYTES' ? String(fill) : fill))
  const feeds = feedsOf(signature, [row.length > 0 ? row : [fill]])
  predictionsOf(signature, model.run(feeds, outputsOf(signature)), 1)
}

function hasKnownSize({ shape }: TensorContract): boolean {
  return shape.slice(1).every((size) => size !== -1) && elementCount(oneRow(shape)) <= MAX_WARM_UP_ELEMENTS
}

function oneRow(shape: readonly number[]): number[] {
  return shape.map((size) => (size === -1 ? 1 : size))
}

function madeUp(input: TensorContract, fill: 0 | 1): Tensors[string] {
  const shape = oneRow(input.shape)
  const datatype = input.datatype as Datatype
  const data = emptyData(datatype, elementCount(shape))
  if (fill === 1) fillWithOnes(data)
  return { datatype, shape, data }
}

function fillWithOnes(data: TensorData): void {
  if (Array.isArray(data)) data.fill('1')
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(1n)
  else data.fill(1)
}
