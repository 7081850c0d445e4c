/**
 * Inputs that this model answers, with its answers: found by asking it.
 *
 * Law: nothing is shown as an example that the model was not seen to answer. Models refuse made-up values for good reasons, such as
 * codes that they do not know, so several are tried; the values of the training data's profile come first.
 */
import type { Profile } from '../../monitor/profile.ts'
import { feedsOf, outputsOf, predictionsOf, rowProblem, type Prediction, type Row } from '../../model/rows.ts'
import type { TabularSignature } from '../../model/signature.ts'
import { elementCount, emptyData, type Datatype, type Tensor, type Tensors } from '../../model/tensor.ts'
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { ServedModel } from '../served-model.ts'
import { dataJson } from '../v2/tensor-data.ts'
import { typicalRows } from './typical-row.ts'

export interface Examples {
  /** One or two rows, each with its answer; empty when none was found, or the model is not asked by rows. */
  readonly rows: readonly AnsweredRow[]
  readonly tensors?: AnsweredTensors
}

interface AnsweredRow {
  readonly row: Row
  readonly prediction: Prediction
}

interface AnsweredTensors {
  readonly inputs: Tensors
  readonly outputs: Tensors
}

/** A person can still read, and a browser show, a document with so many values. */
export const MAX_EXAMPLE_VALUES = 20_000

type Asked = Pick<ServedModel, 'signature' | 'contract' | 'run'>

export async function findExamples(model: Asked, profile: Profile | undefined): Promise<Examples> {
  const { signature } = model
  const rows = signature.kind === 'tabular' ? await answeredRows(model, signature, profile) : []
  const candidates =
    signature.kind === 'tabular' ? rows.map(({ row }) => feedsOf(signature, [row])) : madeUpTensors(model.contract)
  for (const inputs of candidates) {
    const outputs = await outputsOrRefusal(model, inputs)
    if (outputs !== undefined) return { rows, tensors: { inputs, outputs } }
  }
  return { rows }
}

const ROWS = 2
const FILLS = [1, 0, 2, 3]

async function answeredRows(
  model: Asked,
  signature: TabularSignature,
  profile: Profile | undefined,
): Promise<AnsweredRow[]> {
  if (signature.featureCount > MAX_EXAMPLE_VALUES) return []
  const typical = profile === undefined ? [] : typicalRows(signature, profile)
  const found: AnsweredRow[] = []
  for (const row of [...typical, ...FILLS.map((fill) => madeUpRow(signature, fill))]) {
    const prediction = await predictionOrRefusal(model, signature, row)
    if (prediction !== undefined) found.push({ row, prediction })
    if (found.length === ROWS) break
  }
  return found
}

/** Values in a row of a model that takes any number of them. */
const ANY_WIDTH = 3

function madeUpRow({ features, featureCount, blocks }: TabularSignature, fill: number): Row {
  const datatypes =
    featureCount === -1 ? Array<Datatype>(ANY_WIDTH).fill(blocks[0]?.datatype ?? 'FP32') : features.map(datatypeOf)
  return datatypes.map((datatype) => {
    if (datatype === 'BYTES') return String(fill)
    return datatype === 'BOOL' ? fill % 2 === 1 : fill
  })
}

function datatypeOf({ datatype }: { readonly datatype: Datatype }): Datatype {
  return datatype
}

async function predictionOrRefusal(
  model: Asked,
  signature: TabularSignature,
  row: Row,
): Promise<Prediction | undefined> {
  if (rowProblem(signature, row) !== undefined) return undefined
  try {
    const outputs = await model.run(feedsOf(signature, [row]), outputsOf(signature))
    const [prediction] = predictionsOf(signature, outputs, 1)
    return prediction !== undefined && hasJson(prediction) ? prediction : undefined
  } catch {
    return undefined
  }
}

/** JSON has no word for NaN and infinity. */
function hasJson({ prediction, probability, probabilities = [] }: Prediction): boolean {
  const numbers = [prediction, probability, ...probabilities].filter((value) => typeof value === 'number')
  return numbers.every(Number.isFinite)
}

async function outputsOrRefusal(model: Asked, inputs: Tensors): Promise<Tensors | undefined> {
  try {
    const outputs = await model.run(inputs)
    for (const [name, tensor] of Object.entries(outputs)) dataJson(name, tensor)
    return outputs
  } catch {
    return undefined
  }
}

/** For the sizes that may vary, other than the first: the same for all, as a text's tokens and their mask have. */
const SIZES = [8, 1, 32]

function madeUpTensors({ inputs }: ModelContract): Tensors[] {
  const varies = inputs.some(({ shape }) => shape.slice(1).includes(-1))
  return (varies ? SIZES : [1]).flatMap((size) => {
    const count = inputs.reduce((sum, { shape }) => sum + elementCount(sized(shape, size)), 0)
    if (count > MAX_EXAMPLE_VALUES) return []
    return [1, 0].map((fill) => Object.fromEntries(inputs.map((input) => [input.name, filled(input, size, fill)])))
  })
}

function sized(shape: readonly number[], size: number): number[] {
  return shape.map((dimension, axis) => (dimension === -1 ? (axis === 0 ? 1 : size) : dimension))
}

function filled(input: TensorContract, size: number, fill: number): Tensor {
  const shape = sized(input.shape, size)
  const datatype = input.datatype as Datatype
  const data = emptyData(datatype, elementCount(shape))
  if (Array.isArray(data)) data.fill(String(fill))
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(fill))
  else data.fill(fill)
  return { datatype, shape, data }
}
