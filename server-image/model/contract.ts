/** The model's contract as the operator compares it: names, datatypes and shapes, small enough for a termination message. */
import type { ModelContract, TensorContract } from '../../protocol/resolve.ts'
import type { GraphValue } from './graph.ts'
import type { ModelSummary } from './inspect.ts'

/** The whole contract of a model whose rewrites were applied. */
export function toContract(summary: ModelSummary, rewrites: readonly string[] = []): ModelContract {
  return {
    inputs: summary.inputs.map(toTensorContract),
    outputs: summary.outputs.map(toTensorContract),
    opsets: summary.opsets,
    irVersion: summary.irVersion,
    rewrites,
  }
}

/** -1 alone stands for a shape of undeclared rank; a value that is no tensor has the datatype of its kind, in capitals. */
function toTensorContract({ name, type }: GraphValue): TensorContract {
  if (type.kind !== 'tensor') return { name, datatype: type.kind.toUpperCase(), shape: [-1] }
  return { name, datatype: type.datatype ?? `ONNX${type.elementType}`, shape: type.shape ?? [-1] }
}

/**
 * Cuts a contract to at most `maxBytes` of JSON, from the end of its longer list first, and flags it with the full counts.
 * Opsets are cut last: to those of the standard domains, which is all that a model with so many can be judged by.
 */
export function fitContract(contract: ModelContract, maxBytes: number): ModelContract {
  if (jsonBytes(contract) <= maxBytes) return contract
  const counts = { inputCount: contract.inputs.length, outputCount: contract.outputs.length }
  const inputs = [...contract.inputs]
  const outputs = [...contract.outputs]
  const opsets = jsonBytes(contract.opsets) <= maxBytes / 4 ? contract.opsets : standardOpsets(contract.opsets)
  const frame = {
    opsets,
    irVersion: contract.irVersion,
    rewrites: contract.rewrites,
    truncated: true as const,
    ...counts,
  }
  let leftBytes = maxBytes - jsonBytes({ inputs: [], outputs: [], ...frame })
  const sizes = new Map([...inputs, ...outputs].map((tensor) => [tensor, jsonBytes(tensor) + 1]))
  leftBytes -= [...sizes.values()].reduce((sum, size) => sum + size, 0)
  while (leftBytes < 0) {
    const dropped = (inputs.length > outputs.length ? inputs : outputs).pop() ?? inputs.pop()
    if (dropped === undefined) break
    leftBytes += sizes.get(dropped) ?? 0
  }
  return { inputs, outputs, ...frame }
}

function standardOpsets(opsets: ModelContract['opsets']): ModelContract['opsets'] {
  return Object.fromEntries(Object.entries(opsets).filter(([domain]) => domain === '' || domain === 'ai.onnx.ml'))
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
