/**
 * Makes loadable what exporters write by default: outputs that are sequences become tensors, by an edit of the protobuf.
 *
 * - A scikit-learn, LightGBM or XGBoost classifier ends in ZipMap, which turns its [N, classes] tensor into a sequence of
 *   maps. ZipMap becomes Identity: the output keeps its name and is the tensor; the class labels are kept beside it.
 * - A multi-output classifier ends in SequenceConstruct. Its elements become outputs `<name>_0`, `<name>_1`, ...
 *
 * Everything else stays byte for byte; other sequence and map outputs are refused.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { operatorName, type ClassLabels, type GraphNode, type GraphValue, type ValueType } from './graph.ts'
import type { ModelSummary } from './inspect.ts'
import { ModelError, quoted } from './model-error.ts'
import { refuseUntransportable } from './scan.ts'
import { asModelError, eachRawField, MAX_FIELDS, type ReadBudget } from './wire.ts'

export interface Rewriting {
  readonly bytes: Uint8Array
  /** Names of the edits that were made, each once: `ZipMap`, `SequenceConstruct`. */
  readonly rewrites: readonly string[]
  /** What was done, one line for each output. */
  readonly notes: readonly string[]
  /** Labels of the columns of the outputs that came from a ZipMap. */
  readonly classLabels: ReadonlyMap<string, ClassLabels>
}

/** What becomes of the graph: nodes by their index, outputs by theirs. */
interface Plan {
  readonly nodes: Map<number, Uint8Array>
  readonly outputs: Map<number, Uint8Array>
  readonly rewrites: Set<string>
  readonly notes: string[]
  readonly classLabels: Map<string, ClassLabels>
}

const FLOAT = 1

export function rewriteOutputs(bytes: Uint8Array, summary: ModelSummary): Rewriting {
  const plan: Plan = { nodes: new Map(), outputs: new Map(), rewrites: new Set(), notes: [], classLabels: new Map() }
  const producers = new Map<string, number>()
  summary.nodes.forEach((node, index) => node.outputs.forEach((output) => producers.set(output, index)))
  summary.outputs.forEach((output, index) => {
    if (output.type.kind !== 'tensor') planOutput(plan, summary, producers, { output, index })
    else refuseUntransportable('output', output.name, output.type)
  })
  const isChanged = plan.outputs.size > 0
  return {
    bytes: isChanged ? asModelError(() => editModel(bytes, plan, summary)) : bytes,
    rewrites: [...plan.rewrites],
    notes: plan.notes,
    classLabels: plan.classLabels,
  }
}

function planOutput(
  plan: Plan,
  summary: ModelSummary,
  producers: ReadonlyMap<string, number>,
  { output, index }: { output: GraphValue; index: number },
): void {
  const nodeIndex = sourceOf(output.name, summary.nodes, producers)
  const node = nodeIndex === undefined ? undefined : summary.nodes[nodeIndex]
  const operator = node === undefined ? '' : operatorName(node)
  if (node !== undefined && nodeIndex !== undefined && operator === 'ai.onnx.ml.ZipMap') {
    planZipMap(plan, summary, { output, index, node, nodeIndex })
  } else if (node !== undefined && operator === 'SequenceConstruct') {
    planSequence(plan, producers, { output, index, node })
  } else {
    refuseUntransportable('output', output.name, output.type)
  }
}

/** The node that makes a value, looking through Identity. */
function sourceOf(
  name: string,
  nodes: readonly GraphNode[],
  producers: ReadonlyMap<string, number>,
): number | undefined {
  let index = producers.get(name)
  for (let hops = 0; index !== undefined && hops < nodes.length; hops += 1) {
    const node = nodes[index]
    if (node === undefined || operatorName(node) !== 'Identity') return index
    index = producers.get(node.inputs[0] ?? '')
  }
  return index
}

function planZipMap(
  plan: Plan,
  summary: ModelSummary,
  found: { output: GraphValue; index: number; node: GraphNode; nodeIndex: number },
): void {
  const { output, index, node, nodeIndex } = found
  const [tensor] = node.inputs
  const [zipped] = node.outputs
  const labels = node.classLabels
  if (tensor === undefined || zipped === undefined || labels === undefined || labels.length === 0) {
    throw new ModelError(
      'InvalidModel',
      `The ZipMap behind output ${quoted(output.name)} has no input or no class labels. Export the model again.`,
    )
  }
  refuseOtherConsumers(zipped, summary.nodes)
  plan.nodes.set(nodeIndex, encodeIdentity(tensor, zipped, node.name))
  plan.outputs.set(index, encodeTensorOutput(output.name, FLOAT, [undefined, labels.length]))
  plan.rewrites.add('ZipMap')
  plan.classLabels.set(output.name, labels)
  plan.notes.push(
    `Output ${quoted(output.name)} is a sequence of maps (ZipMap); it is served as the tensor [N, ${labels.length}] behind it, whose columns are the classes in order.`,
  )
}

/** A tensor in a ZipMap's place would break whatever else computes with its maps. */
function refuseOtherConsumers(zipped: string, nodes: readonly GraphNode[]): void {
  const values = new Set([zipped])
  for (const node of nodes) {
    if (!node.inputs.some((input) => values.has(input))) continue
    if (operatorName(node) !== 'Identity') {
      throw new ModelError(
        'UnsupportedModel',
        `The model computes on with the maps of its ZipMap (operator ${quoted(operatorName(node))}); export it with options={id(model): {"zipmap": False}}.`,
      )
    }
    node.outputs.forEach((output) => values.add(output))
  }
}

function planSequence(
  plan: Plan,
  producers: ReadonlyMap<string, number>,
  { output, index, node }: { output: GraphValue; index: number; node: GraphNode },
): void {
  const element = elementTypeOf(output.type)
  if (element === undefined || node.inputs.length === 0)
    return refuseUntransportable('output', output.name, output.type)
  const names = node.inputs.map((_, position) => unusedName(`${output.name}_${position}`, producers))
  // The graph needs a value of each new output's name; an Identity gives it one, whatever else the element is used for.
  const fields = node.inputs.flatMap((input, position) => {
    const name = names[position] ?? ''
    return [encodeIdentity(input, name, ''), encodeTensorOutput(name, element, undefined)]
  })
  plan.outputs.set(index, Buffer.concat(fields))
  plan.rewrites.add('SequenceConstruct')
  plan.notes.push(
    `Output ${quoted(output.name)} is a sequence of ${node.inputs.length} tensors; they are served as ${names.slice(0, 3).map(quoted).join(', ')}${names.length > 3 ? ' and so on' : ''}.`,
  )
}

function unusedName(wanted: string, producers: ReadonlyMap<string, number>): string {
  return producers.has(wanted) ? unusedName(`${wanted}_`, producers) : wanted
}

function elementTypeOf(type: ValueType): number | undefined {
  const isExchangeable = type.kind === 'sequence' && type.of.kind === 'tensor' && type.of.datatype !== undefined
  return isExchangeable ? type.of.elementType : undefined
}

/** Field numbers of ModelProto and GraphProto. */
const MODEL_GRAPH = 7
const GRAPH_NODE = 1
const GRAPH_OUTPUT = 12
const MODEL_OPSET = 8

function editModel(bytes: Uint8Array, plan: Plan, summary: ModelSummary): Uint8Array {
  const budget: ReadBudget = { fields: MAX_FIELDS }
  const parts: Uint8Array[] = []
  eachRawField(bytes, budget, (fieldNumber, raw, content) => {
    if (fieldNumber !== MODEL_GRAPH || content === undefined) parts.push(raw)
    else parts.push(...editGraph(content, plan, budget))
  })
  if (summary.opsets[''] === undefined) parts.push(IDENTITY_OPSET)
  return Buffer.concat(parts)
}

/** Identity is of the default domain, which a model of ai.onnx.ml operators alone does not import; version 1 has it. */
const IDENTITY_OPSET = new BinaryWriter()
  .tag(MODEL_OPSET, WireType.LengthDelimited)
  .fork()
  .tag(2, WireType.Varint)
  .int64(1)
  .join()
  .finish()

/** The graph field in parts: its tag and length, then its own fields, each as it was or replaced. */
function editGraph(graph: Uint8Array, plan: Plan, budget: ReadBudget): Uint8Array[] {
  const parts: Uint8Array[] = []
  let nodeIndex = 0
  let outputIndex = 0
  eachRawField(graph, budget, (fieldNumber, raw, content) => {
    let replacement: Uint8Array | undefined
    if (content !== undefined && fieldNumber === GRAPH_NODE) replacement = plan.nodes.get(nodeIndex++)
    if (content !== undefined && fieldNumber === GRAPH_OUTPUT) replacement = plan.outputs.get(outputIndex++)
    parts.push(replacement ?? raw)
  })
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0)
  return [new BinaryWriter().tag(MODEL_GRAPH, WireType.LengthDelimited).uint32(sizeBytes).finish(), ...parts]
}

/** A node field of the graph, with its tag. */
function encodeIdentity(input: string, output: string, name: string): Uint8Array {
  const node = new BinaryWriter().tag(GRAPH_NODE, WireType.LengthDelimited).fork()
  node.tag(1, WireType.LengthDelimited).string(input)
  node.tag(2, WireType.LengthDelimited).string(output)
  node.tag(3, WireType.LengthDelimited).string(name)
  node.tag(4, WireType.LengthDelimited).string('Identity')
  return node.join().finish()
}

/** An output field of the graph, with its tag. An undefined dimension may vary; an undefined shape has any rank. */
function encodeTensorOutput(
  name: string,
  elementType: number,
  shape: readonly (number | undefined)[] | undefined,
): Uint8Array {
  const value = new BinaryWriter().tag(GRAPH_OUTPUT, WireType.LengthDelimited).fork()
  value.tag(1, WireType.LengthDelimited).string(name)
  value.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).fork()
  value.tag(1, WireType.Varint).int32(elementType)
  if (shape !== undefined) {
    value.tag(2, WireType.LengthDelimited).fork()
    for (const size of shape) {
      value.tag(1, WireType.LengthDelimited).fork()
      if (size !== undefined) value.tag(1, WireType.Varint).int64(size)
      value.join()
    }
    value.join()
  }
  return value.join().join().join().finish()
}
