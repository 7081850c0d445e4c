/**
 * Decides what a model means to people who send rows: which inputs are features, which outputs are the answer.
 *
 * A model without such a reading is no error: it is served by its tensors alone, and `reason` says why.
 */
import type { ClassLabels, GraphNode, GraphValue, TensorType } from './graph.ts'
import type { ModelSummary } from './inspect.ts'
import { quoted } from './model-error.ts'
import type { Datatype } from './tensor.ts'

export type Signature = TabularSignature | NoSignature

export interface NoSignature {
  readonly kind: 'none'
  /** One sentence: why rows cannot be mapped to this model. */
  readonly reason: string
}

export interface TabularSignature {
  readonly kind: 'tabular'
  readonly task: 'classification' | 'regression'
  /** In the order of a row; empty when the model takes rows of any length. */
  readonly features: readonly Feature[]
  /** Values in a row; -1 when the model takes rows of any length. */
  readonly featureCount: number
  /** Each takes `width` consecutive values of a row, in this order. */
  readonly blocks: readonly FeatureBlock[]
  /** Set when the model's batch dimension is fixed to 1: rows must be run one by one. */
  readonly maxRows?: 1
  /** Name of the output that holds the predicted class, or the predicted value of a regression. */
  readonly prediction?: PredictionOutput
  /** Name and form of the output that holds the classes' probabilities. */
  readonly probability?: ProbabilityOutput
  /** What the columns of the probabilities stand for. */
  readonly classLabels?: ClassLabels
}

export interface Feature {
  readonly name: string
  readonly datatype: Datatype
}

export interface FeatureBlock {
  readonly input: string
  readonly datatype: Datatype
  /** -1 when it takes any number of values. */
  readonly width: number
  /** 1 for inputs of shape [N], 2 for [N, width]. */
  readonly rank: 1 | 2
}

interface PredictionOutput {
  readonly output: string
  readonly datatype: Datatype
}

interface ProbabilityOutput {
  readonly output: string
  readonly datatype: Datatype
  /** `perClass`: [N, classes]. `positive`: [N] or [N, 1], the probability of the second class. */
  readonly form: 'perClass' | 'positive'
}

const FEATURE_TYPES: ReadonlySet<Datatype> = new Set<Datatype>([
  'FP16',
  'FP32',
  'FP64',
  'INT64',
  'INT32',
  'INT16',
  'INT8',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'BOOL',
  'BYTES',
])
const LABEL_TYPES: ReadonlySet<Datatype> = new Set<Datatype>(['INT64', 'INT32', 'BYTES', 'BOOL'])
const SCORE_TYPES: ReadonlySet<Datatype> = new Set<Datatype>(['FP16', 'FP32', 'FP64'])

/** Probabilities of a label-giving model that are not called so: distances of KMeans, scores of an SVM. */
const NOT_PROBABILITIES = /score|distance|decision|margin|logit/i

interface TensorValue {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
}

type FeatureReading = Pick<TabularSignature, 'features' | 'featureCount' | 'blocks' | 'maxRows'>
type AnswerReading = Pick<TabularSignature, 'task' | 'prediction' | 'probability' | 'classLabels'>

/** @param zippedLabels class labels by output, of the ZipMaps that were rewritten */
export function readSignature(summary: ModelSummary, zippedLabels: ReadonlyMap<string, ClassLabels>): Signature {
  const features = readFeatures(summary)
  if (typeof features === 'string') return { kind: 'none', reason: features }
  const answer = readAnswer(summary, zippedLabels)
  if (typeof answer === 'string') return { kind: 'none', reason: answer }
  return { kind: 'tabular', ...features, ...answer }
}

/** Returns the reason as a string when the inputs are no row of features. */
function readFeatures(summary: ModelSummary): FeatureReading | string {
  if (summary.inputs.length === 0) return 'The model has no inputs.'
  const blocks: FeatureBlock[] = []
  const batchSizes = new Set<number>()
  for (const input of summary.inputs) {
    const value = tensorOf(input)
    const block = value === undefined ? undefined : blockOf(value)
    if (value === undefined || block === undefined) {
      return `Input ${quoted(input.name)} is ${describe(input)}; rows of features need inputs of shape [N, F], or several of shape [N, 1].`
    }
    blocks.push(block)
    batchSizes.add(value.shape[0] ?? -1)
  }
  if (blocks.length > 1 && blocks.some(({ width }) => width === -1)) {
    return 'The model has several inputs, and one of them takes any number of columns, so a row cannot be divided among them.'
  }
  const fixed = [...batchSizes].filter((size) => size !== -1)
  if (fixed.some((size) => size !== 1)) {
    return `The model takes exactly ${Math.max(...fixed)} rows in every run; export it with a batch dimension that may vary.`
  }
  const features = featuresOf(blocks, summary.metadata['feature_names'])
  const featureCount = blocks.some(({ width }) => width === -1) ? -1 : features.length
  return { features, featureCount, blocks, ...(fixed.length > 0 ? { maxRows: 1 as const } : {}) }
}

const MAX_FEATURES = 100_000

function blockOf({ name, datatype, shape }: TensorValue): FeatureBlock | undefined {
  if (!FEATURE_TYPES.has(datatype)) return undefined
  if (shape.length === 1) return shape[0] === -1 ? { input: name, datatype, width: 1, rank: 1 } : undefined
  const width = shape[1] ?? -1
  return shape.length === 2 && width <= MAX_FEATURES ? { input: name, datatype, width, rank: 2 } : undefined
}

/** A column has its input's name; a matrix's columns are named by the model's metadata, else `f0`, `f1`, ... */
function featuresOf(blocks: readonly FeatureBlock[], namesJson: string | undefined): Feature[] {
  const isMatrix = blocks.length === 1
  const features = blocks.flatMap(({ input, datatype, width }) =>
    Array.from({ length: Math.max(0, width) }, (_, column) => ({
      name: width === 1 ? input : `${input}_${column}`,
      datatype,
    })),
  )
  if (!isMatrix || features.length < 2) return features
  const names = parseNames(namesJson, features.length)
  return features.map(({ datatype }, column) => ({ name: names?.[column] ?? `f${column}`, datatype }))
}

function parseNames(json: string | undefined, count: number): string[] | undefined {
  try {
    const names: unknown = JSON.parse(json ?? 'null')
    const isUsable = Array.isArray(names) && names.length === count && names.every((name) => typeof name === 'string')
    return isUsable && new Set(names).size === count ? names : undefined
  } catch {
    return undefined
  }
}

/** Returns the reason as a string when no output can be read as the answer to a row. */
function readAnswer(summary: ModelSummary, zippedLabels: ReadonlyMap<string, ClassLabels>): AnswerReading | string {
  const outputs = summary.outputs.map(tensorOf).filter((value) => value !== undefined)
  const producers = new Map(summary.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const labels = outputs.filter((value) => LABEL_TYPES.has(value.datatype) && isColumn(value))
  if (labels.length > 1) return `The model predicts several labels (${names(labels)}), not one for each row.`
  const scores = outputs.filter(({ datatype }) => SCORE_TYPES.has(datatype))
  const [label] = labels
  if (label !== undefined) return readClassifier(summary, label, { scores, producers, zippedLabels })
  return readScoresAlone(scores, producers)
}

interface Evidence {
  readonly scores: readonly TensorValue[]
  readonly producers: ReadonlyMap<string, GraphNode>
  readonly zippedLabels: ReadonlyMap<string, ClassLabels>
}

function readClassifier(summary: ModelSummary, label: TensorValue, evidence: Evidence): AnswerReading {
  const { scores, producers, zippedLabels } = evidence
  const prediction = { output: label.name, datatype: label.datatype }
  const probability =
    scores.find(({ name }) => zippedLabels.has(name)) ??
    scores.find((value) => isMatrix(value) && !NOT_PROBABILITIES.test(value.name)) ??
    scores.find((value) => activationOf(value.name, producers) !== undefined)
  const classLabels = probability && (zippedLabels.get(probability.name) ?? labelsOfNodes(summary, probability))
  return {
    task: 'classification',
    prediction,
    ...(probability ? { probability: probabilityOutput(probability) } : {}),
    ...(classLabels ? { classLabels } : {}),
  }
}

/** No label: a network that ends in Softmax or Sigmoid classifies, one that gives a number for each row is a regression. */
function readScoresAlone(
  scores: readonly TensorValue[],
  producers: ReadonlyMap<string, GraphNode>,
): AnswerReading | string {
  const probabilities = scores.filter(
    (value) =>
      (isMatrix(value) || isColumn(value)) && (activationOf(value.name, producers) ?? /prob/i.test(value.name)),
  )
  const [probability] = probabilities
  if (probability !== undefined && probabilities.length === 1) {
    return { task: 'classification', probability: probabilityOutput(probability) }
  }
  const columns = scores.filter(isColumn)
  const [value] = columns
  if (value !== undefined && columns.length === 1) {
    return { task: 'regression', prediction: { output: value.name, datatype: value.datatype } }
  }
  return scores.length === 0
    ? 'The model has no output that holds a label or a number for each row.'
    : `It is unclear which of the outputs (${names(scores)}) answers a row: none is a label, a probability or a single number for each row.`
}

function probabilityOutput({ name, datatype, shape }: TensorValue): ProbabilityOutput {
  return { output: name, datatype, form: shape.length === 2 && shape[1] !== 1 ? 'perClass' : 'positive' }
}

/** The labels of a classifier operator, when they fit the probabilities' width. */
function labelsOfNodes(summary: ModelSummary, { shape }: TensorValue): ClassLabels | undefined {
  const all = summary.nodes
    .map(({ classLabels }) => classLabels)
    .filter((labels) => labels !== undefined && labels.length > 0)
  const [labels] = all
  const isClear = labels !== undefined && all.every((other) => JSON.stringify(other) === JSON.stringify(labels))
  const width = shape[1] ?? -1
  return isClear && (width === -1 || width === labels.length) ? labels : undefined
}

function activationOf(output: string, producers: ReadonlyMap<string, GraphNode>): 'Softmax' | 'Sigmoid' | undefined {
  const transparent = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze'])
  let node = producers.get(output)
  for (let hops = 0; node !== undefined && transparent.has(node.operator) && hops < 8; hops += 1) {
    node = producers.get(node.inputs[0] ?? '')
  }
  return node?.operator === 'Softmax' || node?.operator === 'Sigmoid' ? node.operator : undefined
}

/** One value for each row. */
function isColumn({ shape }: TensorValue): boolean {
  return shape.length === 1 || (shape.length === 2 && shape[1] === 1)
}

function isMatrix({ shape }: TensorValue): boolean {
  return shape.length === 2 && shape[1] !== 1
}

function tensorOf({ name, type }: GraphValue): TensorValue | undefined {
  if (type.kind !== 'tensor' || type.datatype === undefined || type.shape === undefined) return undefined
  return { name, datatype: type.datatype, shape: type.shape }
}

function describe({ type }: GraphValue): string {
  return type.kind === 'tensor' ? describeTensor(type) : `a ${type.kind}`
}

function describeTensor({ datatype, shape }: TensorType): string {
  const dimensions = shape?.map((size) => (size === -1 ? 'any' : String(size))).join(', ')
  return `a ${datatype ?? 'foreign'} tensor of ${dimensions === undefined ? 'unknown rank' : `shape [${dimensions}]`}`
}

function names(values: readonly TensorValue[]): string {
  return values.map(({ name }) => quoted(name)).join(', ')
}
