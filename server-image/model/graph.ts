/** The parts of an ONNX graph that the server looks at (field numbers as of onnx.proto), read without decoding any tensor. */
import { ModelError } from './model-error.ts'
import { datatypeOfOnnx, type Datatype } from './tensor.ts'
import { int64, int64s, message, readMessage, text, type FieldTable, type ReadBudget } from './wire.ts'

/** Sequences of maps of tensors are 3 deep; nothing real is deeper than 8. */
const MAX_TYPE_DEPTH = 8
/** Control flow nests graphs in attributes of nodes; exporters stay below 10 levels. */
const MAX_GRAPH_DEPTH = 32
const MAX_NODES = 1_000_000
const MAX_VALUES = 100_000
const MAX_DIMENSIONS = 64
const MAX_EXTERNAL_TENSORS = 100_000
const MAX_CLASS_LABELS = 100_000

export type ValueType =
  | TensorType
  | { readonly kind: 'sequence'; readonly of: ValueType }
  | { readonly kind: 'map'; readonly key: Datatype | undefined; readonly value: ValueType }
  | { readonly kind: 'optional' | 'sparse' | 'unknown' }

export interface TensorType {
  readonly kind: 'tensor'
  /** TensorProto.DataType. */
  readonly elementType: number
  /** Undefined when the server cannot exchange such elements. */
  readonly datatype: Datatype | undefined
  /** -1 is a dimension that may vary; undefined when not even the rank is declared. */
  readonly shape: readonly number[] | undefined
}

export interface GraphValue {
  readonly name: string
  readonly type: ValueType
}

export interface GraphNode {
  readonly name: string
  readonly operator: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** `classlabels_*` of ZipMap and of the classifiers of ai.onnx.ml. */
  readonly classLabels: ClassLabels | undefined
}

/** Integers beyond 2^53 are kept exact as decimal strings. */
export type ClassLabels = readonly (number | string)[]

export interface ExternalTensor {
  readonly tensor: string
  readonly location: string
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly GraphNode[]
  /** Operators of nested graphs and local functions, in the form `domain.operator`. */
  readonly nestedOperators: Map<string, number>
  readonly declaredInputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly initializers: ReadonlySet<string>
  readonly externalTensors: readonly ExternalTensor[]
}

/** One graph under construction. Nested graphs add their operators and external tensors to the outermost one. */
export class GraphReading implements Graph {
  name = ''
  readonly nodes: GraphNode[] = []
  readonly nestedOperators = new Map<string, number>()
  readonly declaredInputs: GraphValue[] = []
  readonly outputs: GraphValue[] = []
  readonly initializers = new Set<string>()
  readonly externalTensors: ExternalTensor[] = []
  readonly budget: ReadBudget
  private nodeCount = 0

  constructor(budget: ReadBudget) {
    this.budget = budget
  }

  readGraph(bytes: Uint8Array): void {
    readMessage(
      bytes,
      {
        1: message((node) => this.nodes.push(this.readNode(node, 0))),
        2: text((name) => (this.name = name)),
        5: message((tensor) => this.initializers.add(this.readTensor(tensor))),
        11: message((value) => this.addValue(this.declaredInputs, value)),
        12: message((value) => this.addValue(this.outputs, value)),
        15: message((sparse) => this.initializers.add(this.readSparseTensor(sparse))),
      },
      this.budget,
    )
  }

  /** A FunctionProto: its nodes run inside the model, so they are seen like those of a nested graph. */
  readFunction(bytes: Uint8Array): { domain: string; name: string } {
    const identity = { domain: '', name: '' }
    readMessage(
      bytes,
      {
        1: text((name) => (identity.name = name)),
        7: message((node) => this.countNested(this.readNode(node, 1))),
        10: text((domain) => (identity.domain = domain)),
        11: message((attribute) => this.readAttribute(attribute, 1)),
      },
      this.budget,
    )
    return identity
  }

  private readNode(bytes: Uint8Array, depth: number): GraphNode {
    this.nodeCount = bounded(this.nodeCount + 1, MAX_NODES, 'nodes')
    const node = { name: '', operator: '', domain: '', inputs: [] as string[], outputs: [] as string[] }
    let classLabels: ClassLabels | undefined
    readMessage(
      bytes,
      {
        1: text((name) => node.inputs.push(name)),
        2: text((name) => node.outputs.push(name)),
        3: text((name) => (node.name = name)),
        4: text((operator) => (node.operator = operator)),
        5: message((attribute) => (classLabels = this.readAttribute(attribute, depth) ?? classLabels)),
        7: text((domain) => (node.domain = domain === 'ai.onnx' ? '' : domain)),
      },
      this.budget,
    )
    return { ...node, classLabels }
  }

  /** Looks through an attribute for tensors and graphs; returns its values when it holds class labels. */
  private readAttribute(bytes: Uint8Array, depth: number): ClassLabels | undefined {
    if (depth >= MAX_GRAPH_DEPTH) {
      throw new ModelError(
        'UnsupportedModel',
        `The model nests graphs more than ${MAX_GRAPH_DEPTH} levels deep; flatten its control flow.`,
      )
    }
    let name = ''
    const nested: FieldTable = {
      1: text((value) => (name = value)),
      5: message((tensor) => this.readTensor(tensor)),
      6: message((graph) => this.readNestedGraph(graph, depth + 1)),
      10: message((tensor) => this.readTensor(tensor)),
      11: message((graph) => this.readNestedGraph(graph, depth + 1)),
      22: message((sparse) => this.readSparseTensor(sparse)),
      23: message((sparse) => this.readSparseTensor(sparse)),
    }
    readMessage(bytes, nested, this.budget)
    return name.startsWith('classlabels_') ? readLabels(bytes, this.budget) : undefined
  }

  private readNestedGraph(bytes: Uint8Array, depth: number): void {
    readMessage(
      bytes,
      {
        1: message((node) => this.countNested(this.readNode(node, depth))),
        5: message((tensor) => this.readTensor(tensor)),
        15: message((sparse) => this.readSparseTensor(sparse)),
      },
      this.budget,
    )
  }

  private countNested(node: GraphNode): void {
    const operator = operatorName(node)
    this.nestedOperators.set(operator, (this.nestedOperators.get(operator) ?? 0) + 1)
  }

  /** Returns the tensor's name; its values stay unread. */
  private readTensor(bytes: Uint8Array): string {
    let name = ''
    let location: string | undefined
    let isExternal = false
    readMessage(
      bytes,
      {
        8: text((value) => (name = value)),
        13: message((entry) => {
          const { key, value } = readEntry(entry, this.budget)
          if (key === 'location') location = value
        }),
        14: int64((value) => (isExternal = value === 1n)),
      },
      this.budget,
    )
    if (isExternal || location !== undefined) {
      bounded(this.externalTensors.length, MAX_EXTERNAL_TENSORS, 'tensors in external files')
      this.externalTensors.push({ tensor: name, location: location ?? '' })
    }
    return name
  }

  private readSparseTensor(bytes: Uint8Array): string {
    let name = ''
    const fields: FieldTable = {
      1: message((values) => (name = this.readTensor(values))),
      2: message((indices) => this.readTensor(indices)),
    }
    readMessage(bytes, fields, this.budget)
    return name
  }

  private addValue(values: GraphValue[], bytes: Uint8Array): void {
    bounded(values.length, MAX_VALUES, 'inputs or outputs')
    values.push(readValue(bytes, this.budget))
  }
}

export function readValue(bytes: Uint8Array, budget: ReadBudget): GraphValue {
  let name = ''
  let type: ValueType = { kind: 'unknown' }
  const fields: FieldTable = {
    1: text((value) => (name = value)),
    2: message((content) => (type = readType(content, budget, 0))),
  }
  readMessage(bytes, fields, budget)
  return { name, type }
}

/** A StringStringEntryProto. */
export function readEntry(bytes: Uint8Array, budget: ReadBudget): { key: string; value: string } {
  const entry = { key: '', value: '' }
  readMessage(bytes, { 1: text((key) => (entry.key = key)), 2: text((value) => (entry.value = value)) }, budget)
  return entry
}

/** `ai.onnx.ml.ZipMap`; operators of the default domain have no prefix. */
export function operatorName(node: Pick<GraphNode, 'domain' | 'operator'>): string {
  return node.domain === '' ? node.operator : `${node.domain}.${node.operator}`
}

function readType(bytes: Uint8Array, budget: ReadBudget, depth: number): ValueType {
  if (depth >= MAX_TYPE_DEPTH) {
    throw new ModelError(
      'UnsupportedModel',
      `An input or output has a type nested more than ${MAX_TYPE_DEPTH} levels deep; return tensors instead.`,
    )
  }
  let type: ValueType = { kind: 'unknown' }
  const fields: FieldTable = {
    1: message((content) => (type = readTensorType(content, budget))),
    4: message((content) => (type = { kind: 'sequence', of: readElementType(content, budget, depth) })),
    5: message((content) => (type = readMapType(content, budget, depth))),
    8: message(() => (type = { kind: 'sparse' })),
    9: message(() => (type = { kind: 'optional' })),
  }
  readMessage(bytes, fields, budget)
  return type
}

function readElementType(bytes: Uint8Array, budget: ReadBudget, depth: number): ValueType {
  let type: ValueType = { kind: 'unknown' }
  readMessage(bytes, { 1: message((content) => (type = readType(content, budget, depth + 1))) }, budget)
  return type
}

function readMapType(bytes: Uint8Array, budget: ReadBudget, depth: number): ValueType {
  let key: Datatype | undefined
  let value: ValueType = { kind: 'unknown' }
  const fields: FieldTable = {
    1: int64((elementType) => (key = datatypeOfOnnx(Number(elementType)))),
    2: message((content) => (value = readType(content, budget, depth + 1))),
  }
  readMessage(bytes, fields, budget)
  return { kind: 'map', key, value }
}

function readTensorType(bytes: Uint8Array, budget: ReadBudget): TensorType {
  let elementType = 0
  let shape: number[] | undefined
  const fields: FieldTable = {
    1: int64((value) => (elementType = Number(value))),
    2: message((content) => (shape = readShape(content, budget))),
  }
  readMessage(bytes, fields, budget)
  return { kind: 'tensor', elementType, datatype: datatypeOfOnnx(elementType), shape }
}

function readShape(bytes: Uint8Array, budget: ReadBudget): number[] {
  const shape: number[] = []
  const dimension = message((content) => {
    bounded(shape.length, MAX_DIMENSIONS, 'dimensions in one tensor')
    let size = -1
    readMessage(content, { 1: int64((value) => (size = dimensionSize(value))) }, budget)
    shape.push(size)
  })
  readMessage(bytes, { 1: dimension }, budget)
  return shape
}

/** Some exporters write 0 or a negative number for a dimension that may vary. */
function dimensionSize(value: bigint): number {
  if (value <= 0n) return -1
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ModelError('InvalidModel', `A dimension of ${value} cannot be; the file looks damaged. Export it again.`)
  }
  return Number(value)
}

function readLabels(attribute: Uint8Array, budget: ReadBudget): ClassLabels {
  const labels: (number | string)[] = []
  const add = (label: number | string) => {
    bounded(labels.length, MAX_CLASS_LABELS, 'class labels')
    labels.push(label)
  }
  readMessage(attribute, { 8: int64s((value) => add(exactInteger(value))), 9: text(add) }, budget)
  return labels
}

/** A JavaScript number when it is exact, else the decimal digits. */
export function exactInteger(value: bigint): number | string {
  const rounded = Number(value)
  return Number.isSafeInteger(rounded) ? rounded : String(value)
}

function bounded(count: number, limit: number, what: string): number {
  if (count < limit) return count
  throw new ModelError(
    'UnsupportedModel',
    `The model has ${limit} or more ${what}, more than this server reads; export a smaller one.`,
  )
}
