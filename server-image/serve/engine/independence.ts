/**
 * Whether rows may be computed together: a model is asked for two made-up rows, each alone and both at once, and has to answer the same.
 *
 * Nothing is concluded from what a model is made of, as one scale or one sum over the whole batch can hide in any of its operators.
 */
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { LoadedModel } from '../../model/session.ts'
import {
  elementCount,
  emptyData,
  type Datatype,
  type Tensor,
  type TensorData,
  type Tensors,
} from '../../model/tensor.ts'
import { stackedTensors } from '../batching/stack.ts'

/** All inputs and outputs have a first dimension that may vary: as many rows go in as come out, as far as the contract tells. */
export function sharesRows({ inputs, outputs }: ModelContract): boolean {
  return inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1)
}

/**
 * An output whose inner size may vary while no input's does is as long as its values demand, for example as the longest text of the
 * batch: two made-up rows may happen to be alike in that.
 */
export function hasSizesOfItsOwn({ inputs, outputs }: ModelContract): boolean {
  const varies = ({ shape }: TensorContract) => shape.slice(1).includes(-1)
  return outputs.some(varies) && !inputs.some(varies)
}

/** Sizes that are tried for dimensions that may vary: texts are content with a few, images need some more. */
const INNER_SIZES = [8, 32, 224]
const MAX_ROW_ELEMENTS = 4 * 1024 * 1024

/** Sums in another order may differ in the last bits. */
const TOLERANCES: Readonly<Partial<Record<Datatype, number>>> = { FP16: 1e-2, FP32: 1e-3, FP64: 1e-3 }

/** Why rows must not be computed together: they depend on each other, or may do so; undefined when two of them were seen not to. */
export function dependenceOfRows(model: LoadedModel, outputs: readonly string[]): string | undefined {
  const alone = rowsAlone(model, outputs)
  if (alone === undefined) {
    return 'the model refused the made-up rows that would have shown whether it computes each by itself.'
  }
  const together = runOrRefuse(
    model,
    stackedTensors(
      alone.map(({ row }) => row),
      alone.length,
    ),
    outputs,
  )
  const isSame = outputs.every((name) =>
    isConcatenation(
      together?.[name],
      alone.map(({ answer }) => answer[name]),
    ),
  )
  return isSame ? undefined : 'this model computes a row differently beside others.'
}

interface Answered {
  readonly row: Tensors
  readonly answer: Tensors
}

/** Two different rows that the model takes. */
function rowsAlone(model: LoadedModel, outputs: readonly string[]): readonly Answered[] | undefined {
  const { inputs } = model.contract
  const isVariable = inputs.some(({ shape }) => shape.slice(1).includes(-1))
  for (const size of isVariable ? INNER_SIZES : [1]) {
    const shapes = inputs.map(({ shape }) => [1, ...shape.slice(1).map((each) => (each === -1 ? size : each))])
    if (shapes.some((shape) => elementCount(shape) > MAX_ROW_ELEMENTS)) continue
    const answered = PATTERNS.values()
      .flatMap((pattern) => {
        const row = Object.fromEntries(
          inputs.map(({ name, datatype }, index) => [name, madeUp(datatype as Datatype, shapes[index] ?? [], pattern)]),
        )
        const answer = runOrRefuse(model, row, outputs)
        return answer === undefined ? [] : [{ row, answer }]
      })
      .take(2)
      .toArray()
    if (answered.length === 2) return answered
  }
  return undefined
}

/** Values of a made-up row: a number for floating point, a small one for codes. */
interface Pattern {
  readonly real: (index: number) => number
  readonly code: (index: number) => number
}

const constant = (value: number): Pattern => ({ real: () => value, code: () => value })

/** The first two differ in size, so that what is scaled by the whole batch shows. A model may refuse some, as codes that it does not know. */
const PATTERNS: readonly Pattern[] = [
  { real: (index) => Math.sin(index + 1), code: (index) => index % 2 },
  { real: (index) => 16 * Math.cos(index + 1), code: (index) => (index + 1) % 2 },
  ...[0, 1, 2, 3].map(constant),
]

function madeUp(datatype: Datatype, shape: readonly number[], { real, code }: Pattern): Tensor {
  const data = emptyData(datatype, elementCount(shape))
  const value = datatype.startsWith('FP') ? real : code
  for (let index = 0; index < data.length; index += 1) store(data, index, value(index))
  return { datatype, shape, data }
}

function store(data: TensorData, index: number, value: number): void {
  if (Array.isArray(data)) data[index] = String(value)
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[index] = BigInt(value)
  else data[index] = value
}

function runOrRefuse(model: LoadedModel, feeds: Tensors, outputs: readonly string[]): Tensors | undefined {
  try {
    return model.run(feeds, outputs)
  } catch {
    return undefined
  }
}

function isConcatenation(together: Tensor | undefined, parts: readonly (Tensor | undefined)[]): boolean {
  if (together?.shape[0] !== parts.length) return false
  const inner = together.shape.slice(1).join()
  if (parts.some((part) => part?.shape[0] !== 1 || part.shape.slice(1).join() !== inner)) return false
  const tolerance = TOLERANCES[together.datatype] ?? 0
  const width = together.data.length / parts.length
  return parts.every((part, index) => {
    for (let at = 0; at < width; at += 1) {
      if (!isClose(together.data[index * width + at], part?.data[at], tolerance)) return false
    }
    return true
  })
}

function isClose(a: unknown, b: unknown, tolerance: number): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return a === b
  return Object.is(a, b) || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b))
}
