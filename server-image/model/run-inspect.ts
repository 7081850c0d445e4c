/** Prints what a model file is: for people as a table, for programs as JSON. */
import type { TensorContract } from '../../protocol/resolve.ts'
import { ModelError } from './model-error.ts'
import { prepareModel, type PreparedModel } from './prepare.ts'
import type { Signature } from './signature.ts'

export interface InspectArguments {
  readonly path: string
  readonly json: boolean
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
}

/** Returns the exit code: 0 when this server could load the model as far as its bytes tell, else 1. */
export async function runInspect({ path, json, print, complain }: InspectArguments): Promise<0 | 1> {
  try {
    const prepared = await prepareModel({ path })
    if (json) print(JSON.stringify(toJson(prepared), null, 2))
    else toLines(prepared).forEach(print)
    return 0
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    if (json) print(JSON.stringify({ reason: error.reason, message: error.message }, null, 2))
    else complain(`${error.reason}: ${error.message}`)
    return 1
  }
}

function toJson({ sha256, sizeBytes, summary, contract, signature, notes }: PreparedModel): object {
  const { producer, operators, metadata } = summary
  return { sha256, sizeBytes, producer, contract, signature, operators, metadata, notes }
}

function toLines({ sha256, sizeBytes, summary, contract, signature, notes }: PreparedModel): string[] {
  const opsets = Object.entries(contract.opsets).map(
    ([domain, version]) => `${domain === '' ? 'ai.onnx' : domain} ${version}`,
  )
  const operators = Object.entries(summary.operators)
    .sort(([, left], [, right]) => right - left)
    .map(([operator, count]) => (count === 1 ? operator : `${operator} x ${count}`))
  const rows: [string, string][] = [
    ['sha256', sha256],
    ['size', `${sizeBytes} bytes`],
    ['producer', `${summary.producer.name} ${summary.producer.version}`.trim() || 'unknown'],
    ['IR version', String(contract.irVersion)],
    ['opsets', opsets.join(', ')],
    ...contract.inputs.map((tensor) => ['input', describe(tensor)] as [string, string]),
    ...contract.outputs.map((tensor) => ['output', describe(tensor)] as [string, string]),
    ['operators', operators.join(', ')],
    ['/predict', describeSignature(signature)],
    ...notes.map((note) => ['note', note] as [string, string]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${printable(text)}`)
}

function describe({ name, datatype, shape }: TensorContract): string {
  return `${name}  ${datatype} [${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`
}

function describeSignature(signature: Signature): string {
  if (signature.kind === 'none') return `not offered: ${signature.reason}`
  const { task, featureCount, classLabels } = signature
  const labels =
    classLabels === undefined
      ? ''
      : ` into ${classLabels.slice(0, 10).join(', ')}${classLabels.length > 10 ? ', ...' : ''}`
  return `${task}${labels}, ${featureCount === -1 ? 'any number of' : featureCount} feature${featureCount === 1 ? '' : 's'} a row`
}

/** A model's names may hold control characters that a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '�')
}
