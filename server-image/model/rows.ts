/** Rows of features to tensors, and tensors to predictions, as a model's tabular signature says. */
import type { FeatureBlock, TabularSignature } from './signature.ts'
import { exactInteger } from './graph.ts'
import { emptyData, type Datatype, type Tensor, type TensorData, type Tensors } from './tensor.ts'

export type FeatureValue = number | string | boolean
export type Row = readonly FeatureValue[]

export interface Prediction {
  /** The class's label, or a regression's value. */
  readonly prediction: number | string
  /** Of the predicted class; null when the model gives none. */
  readonly probability: number | null
  /** Of every class, in the order of `classLabels`; undefined when the model gives none. */
  readonly probabilities?: readonly number[]
}

/** Says what is wrong with a row, naming the field below `path`; undefined when the model can take it. */
export function rowProblem(signature: TabularSignature, row: unknown, path = 'features'): string | undefined {
  if (!Array.isArray(row)) return `${path} must be an array of ${wantedCount(signature)}`
  if (signature.featureCount === -1 ? row.length === 0 : row.length !== signature.featureCount) {
    return `${path} must have ${wantedCount(signature)}, got ${row.length}`
  }
  const anyDatatype = signature.blocks[0]?.datatype ?? 'FP32'
  for (let column = 0; column < row.length; column += 1) {
    const feature = signature.features[column]
    const wanted = wantedValue(feature?.datatype ?? anyDatatype, row[column])
    if (wanted === undefined) continue
    const called = feature === undefined || feature.name === `f${column}` ? '' : ` (${feature.name})`
    return `${path}[${column}]${called} must be ${wanted}, got ${shown(row[column])}`
  }
  return undefined
}

/** @param rows at least one, each without a `rowProblem`, all of the same length */
export function feedsOf(signature: TabularSignature, rows: readonly Row[]): Tensors {
  const feeds: Record<string, Tensor> = {}
  let offset = 0
  for (const block of signature.blocks) {
    const width = block.width === -1 ? (rows[0]?.length ?? 0) : block.width
    feeds[block.input] = packBlock(block, rows, offset, width)
    offset += width
  }
  return feeds
}

function packBlock(block: FeatureBlock, rows: readonly Row[], offset: number, width: number): Tensor {
  const { datatype } = block
  const data = emptyData(datatype, rows.length * width)
  let at = 0
  for (const row of rows) {
    for (let column = offset; column < offset + width; column += 1) {
      store(data, at, row[column] ?? 0)
      at += 1
    }
  }
  return { datatype, shape: block.rank === 1 ? [rows.length] : [rows.length, width], data }
}

function store(data: TensorData, at: number, value: FeatureValue): void {
  if (Array.isArray(data)) data[at] = String(value)
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[at] = BigInt(value)
  else data[at] = Number(value)
}

/** Names of the outputs that `predictionsOf` reads: what to ask of `run`. */
export function outputsOf({ prediction, probability }: TabularSignature): string[] {
  return [prediction, probability].flatMap((output) => (output === undefined ? [] : [output.output]))
}

/** @throws Error when the model's outputs are not one for each row, whatever it declares. */
export function predictionsOf(signature: TabularSignature, outputs: Tensors, rowCount: number): Prediction[] {
  const answers = signature.prediction === undefined ? undefined : outputs[signature.prediction.output]
  if (answers !== undefined && answers.data.length !== rowCount)
    throw wrongCount(signature.prediction?.output, answers, rowCount)
  const probabilities = probabilitiesIn(signature, outputs, rowCount)
  const predictions: Prediction[] = []
  for (let row = 0; row < rowCount; row += 1) {
    const perClass = probabilities === undefined ? undefined : rowOf(probabilities, row)
    const best = perClass === undefined ? -1 : indexOfMaximum(perClass)
    const prediction = answers === undefined ? labelOf(signature, best) : scalar(answers.data[row])
    if (perClass === undefined) predictions.push({ prediction, probability: null })
    else {
      const predicted = signature.classLabels?.indexOf(prediction) ?? -1
      const probability = perClass[predicted === -1 ? best : predicted] ?? null
      predictions.push({ prediction, probability, probabilities: perClass })
    }
  }
  return predictions
}

interface Probabilities {
  readonly data: Float16Array | Float32Array | Float64Array
  /** Numbers of a row; a single one is the probability of the second of two classes. */
  readonly width: number
}

function probabilitiesIn(signature: TabularSignature, outputs: Tensors, rowCount: number): Probabilities | undefined {
  const { probability } = signature
  const tensor = probability === undefined ? undefined : outputs[probability.output]
  if (probability === undefined || tensor === undefined) return undefined
  const data = tensor.data as Float16Array | Float32Array | Float64Array
  const width = data.length / rowCount
  if (!Number.isInteger(width) || width === 0) throw wrongCount(probability.output, tensor, rowCount)
  return { data, width }
}

function rowOf({ data, width }: Probabilities, row: number): number[] {
  if (width === 1) return [1 - (data[row] ?? 0), data[row] ?? 0]
  const perClass: number[] = []
  for (let at = row * width; at < (row + 1) * width; at += 1) perClass.push(data[at] ?? 0)
  return perClass
}

function labelOf({ classLabels }: TabularSignature, index: number): number | string {
  return classLabels?.[index] ?? index
}

function scalar(value: number | bigint | string | undefined): number | string {
  return typeof value === 'bigint' ? exactInteger(value) : (value ?? 0)
}

function indexOfMaximum(values: readonly number[]): number {
  let best = 0
  for (let index = 1; index < values.length; index += 1) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) best = index
  }
  return best
}

function wrongCount(output: string | undefined, { shape }: Tensor, rowCount: number): Error {
  return new Error(`The model answered ${rowCount} rows with output ${output ?? ''} of shape [${shape.join(', ')}].`)
}

function wantedCount({ featureCount }: TabularSignature): string {
  if (featureCount === -1) return 'at least 1 value'
  return featureCount === 1 ? '1 value' : `${featureCount} values`
}

interface IntegerRange {
  readonly min: number
  readonly max: number
}

const INTEGER_RANGES: Readonly<Partial<Record<Datatype, IntegerRange>>> = {
  INT8: { min: -128, max: 127 },
  INT16: { min: -32_768, max: 32_767 },
  INT32: { min: -2_147_483_648, max: 2_147_483_647 },
  INT64: { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER },
  UINT8: { min: 0, max: 255 },
  UINT16: { min: 0, max: 65_535 },
  UINT32: { min: 0, max: 4_294_967_295 },
  UINT64: { min: 0, max: Number.MAX_SAFE_INTEGER },
}

/** From here on a number rounds to infinity. */
const FLOAT_LIMITS: Readonly<Partial<Record<Datatype, { readonly bits: number; readonly limit: number }>>> = {
  FP16: { bits: 16, limit: 65_520 },
  FP32: { bits: 32, limit: 3.4028235677973366e38 },
}

/** What a feature of this datatype has to be, when `value` is not. */
function wantedValue(datatype: Datatype, value: unknown): string | undefined {
  if (datatype === 'BYTES') return wantedText(value)
  if (datatype === 'BOOL') {
    return typeof value === 'boolean' || value === 0 || value === 1 ? undefined : 'true or false'
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'a finite number'
  const range = INTEGER_RANGES[datatype]
  if (range === undefined) return wantedFloat(datatype, value)
  const isFitting = Number.isInteger(value) && value >= range.min && value <= range.max
  return isFitting ? undefined : `an integer from ${range.min} to ${range.max}`
}

/** ONNX Runtime's binding would cut a text at U+0000 without a word. */
function wantedText(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'a string'
  return value.includes('\0') ? 'a string without the character U+0000' : undefined
}

function wantedFloat(datatype: Datatype, value: number): string | undefined {
  const { bits, limit } = FLOAT_LIMITS[datatype] ?? { bits: 64, limit: Infinity }
  return Math.abs(value) < limit ? undefined : `a number that fits ${bits}-bit floating point`
}

function shown(value: unknown): string {
  if (typeof value === 'number') return String(value)
  const json = JSON.stringify(value) as string | undefined
  if (json === undefined) return typeof value
  return json.length > 40 ? `${json.slice(0, 40)}…` : json
}
