/**
 * Tells what a model file is from its bytes alone: nothing is executed, no tensor is decoded, no value is copied.
 *
 * Bytes that are no ONNX model, however hostile, end in a ModelError; depth, counts and total work are bounded.
 * Whether this server can run the model is a question for `scan`.
 */
import { readModelFile } from './model-file.ts'
import { GraphReading, operatorName, readEntry, type GraphNode, type ExternalTensor, type GraphValue } from './graph.ts'
import { ModelError } from './model-error.ts'
import { refuseForeignFormat } from './foreign-format.ts'
import { asModelError, cutText, int64, MAX_FIELDS, message, readMessage, text, type ReadBudget } from './wire.ts'

export interface ModelSummary {
  readonly sizeBytes: number
  readonly irVersion: number
  readonly producer: { readonly name: string; readonly version: string }
  /** Highest version by domain; the default domain is ''. */
  readonly opsets: Readonly<Record<string, number>>
  /** Without the initializers, which old IR versions list among the inputs. */
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly nodes: readonly GraphNode[]
  /** How often each operator occurs (`ai.onnx.ml.ZipMap`), nested graphs and local functions included. */
  readonly operators: Readonly<Record<string, number>>
  /** Operators that the model brings itself. */
  readonly localFunctions: readonly string[]
  readonly externalTensors: readonly ExternalTensor[]
  readonly metadata: Readonly<Record<string, string>>
}

const MAX_METADATA_ENTRIES = 1_000
const MAX_PRODUCER_BYTES = 256

/** Reads a model from memory, or from a file of at most `MAX_MODEL_BYTES`. */
export async function inspectModel(model: Uint8Array | string): Promise<ModelSummary> {
  return inspectBytes(typeof model === 'string' ? (await readModelFile(model)).bytes : model)
}

export function inspectBytes(bytes: Uint8Array): ModelSummary {
  refuseForeignFormat(bytes)
  return asModelError(() => readModel(bytes))
}

function readModel(bytes: Uint8Array): ModelSummary {
  const budget: ReadBudget = { fields: MAX_FIELDS }
  const graph = new GraphReading(budget)
  const producer = { name: '', version: '' }
  const opsets = new Map<string, number>()
  const metadata = new Map<string, string>()
  const localFunctions: string[] = []
  let irVersion = 0
  let graphCount = 0
  readMessage(
    bytes,
    {
      1: int64((value) => (irVersion = versionNumber(value, 'IR version'))),
      2: cutText(MAX_PRODUCER_BYTES, (name) => (producer.name = name)),
      3: cutText(MAX_PRODUCER_BYTES, (version) => (producer.version = version)),
      7: message((content) => {
        graphCount += 1
        graph.readGraph(content)
      }),
      8: message((content) => addOpset(opsets, content, budget)),
      14: message((content) => {
        const { key, value } = readEntry(content, budget)
        if (metadata.size < MAX_METADATA_ENTRIES) metadata.set(key, value)
      }),
      25: message((content) => {
        const { domain, name } = graph.readFunction(content)
        localFunctions.push(operatorName({ domain, operator: name }))
      }),
    },
    budget,
  )
  refuseUnlessComplete(irVersion, graphCount, graph)
  return {
    sizeBytes: bytes.length,
    irVersion,
    producer,
    opsets: Object.fromEntries(opsets),
    inputs: graph.declaredInputs.filter(({ name }) => !graph.initializers.has(name)),
    outputs: graph.outputs,
    nodes: graph.nodes,
    operators: countOperators(graph),
    localFunctions,
    externalTensors: graph.externalTensors,
    metadata: Object.fromEntries(metadata),
  }
}

function refuseUnlessComplete(irVersion: number, graphCount: number, graph: GraphReading): void {
  if (irVersion === 0 || graphCount === 0) {
    throw new ModelError(
      'InvalidModel',
      'The file is not an ONNX model: it has no IR version or no graph. Give the .onnx file that an exporter wrote.',
    )
  }
  if (graphCount > 1) {
    throw new ModelError(
      'InvalidModel',
      'The file holds more than one graph; it looks like two models written into one file. Export it again.',
    )
  }
  if (graph.outputs.length === 0) {
    throw new ModelError('InvalidModel', 'The model has no outputs, so it can answer nothing. Export it again.')
  }
}

function addOpset(opsets: Map<string, number>, bytes: Uint8Array, budget: ReadBudget): void {
  let domain = ''
  let version = 0
  const fields = {
    1: text((value) => (domain = value === 'ai.onnx' ? '' : value)),
    2: int64((value) => (version = versionNumber(value, 'opset version'))),
  }
  readMessage(bytes, fields, budget)
  opsets.set(domain, Math.max(version, opsets.get(domain) ?? 0))
}

function versionNumber(value: bigint, what: string): number {
  if (value < 0n || value > 1_000_000n) {
    throw new ModelError(
      'InvalidModel',
      `The file is not a valid ONNX model: ${what} ${value} cannot be. Export it again.`,
    )
  }
  return Number(value)
}

function countOperators(graph: GraphReading): Record<string, number> {
  const counts = new Map(graph.nestedOperators)
  for (const node of graph.nodes) {
    const operator = operatorName(node)
    counts.set(operator, (counts.get(operator) ?? 0) + 1)
  }
  return Object.fromEntries(counts)
}
