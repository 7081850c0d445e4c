/** The body of an Open Inference Protocol V2 request, checked against the model's contract down to each element. */
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { Datatype, Tensor, Tensors } from '../../model/tensor.ts'
import { ApiError } from '../api-error.ts'
import { timeoutInParameters } from '../timeout.ts'
import { BinaryInput, dataFromBytes } from './binary-data.ts'
import { tensorData } from './tensor-data.ts'

export interface InferRequest {
  readonly id?: string
  readonly feeds: Tensors
  /** Names of the outputs that were asked for; all of them when none is named. */
  readonly outputs: readonly string[]
  /** Those of them whose elements are to follow the JSON as bytes. */
  readonly binaryOutputs: ReadonlySet<string>
  /** How long the client waits, in milliseconds; Infinity when it does not say. */
  readonly timeoutMs: number
}

type Members = Readonly<Record<string, unknown>>

export interface InferLimits {
  /** Of a batch dimension. */
  readonly maxRows: number
  /** True for a model of rows: all of its inputs must have the same number of them. */
  readonly sameRows: boolean
}

/**
 * @param binary what follows the JSON in the body; undefined without the binary tensor data extension
 * @throws ApiError that names the field
 */
export function readInferRequest(
  body: unknown,
  binary: Buffer | undefined,
  contract: ModelContract,
  limits: InferLimits,
): InferRequest {
  const request = membersOf(body, '', ['id', 'parameters', 'inputs', 'outputs'])
  const { id } = request
  if (id !== undefined && typeof id !== 'string') throw invalid('id', 'id must be a string.')
  const parameters = parametersOf(request, '')
  const allBinary = flagIn(parameters, 'binary_data_output', 'parameters') ?? false
  const behind = new BinaryInput(binary ?? Buffer.alloc(0))
  const feeds = readInputs(request['inputs'], contract.inputs, { ...limits, behind })
  behind.end()
  const outputs = readOutputs(request['outputs'], contract.outputs, allBinary)
  return {
    ...(id !== undefined && { id }),
    feeds,
    outputs: outputs.map(({ name }) => name),
    binaryOutputs: new Set(outputs.filter((output) => output.binary).map(({ name }) => name)),
    timeoutMs: timeoutInParameters(parameters),
  }
}

interface ReadingOptions extends InferLimits {
  readonly behind: BinaryInput
}

function readInputs(inputs: unknown, wanted: readonly TensorContract[], options: ReadingOptions): Tensors {
  const byName = new Map(wanted.map((tensor) => [tensor.name, tensor]))
  const feeds: Record<string, Tensor> = {}
  for (const [index, value] of listOf(inputs, 'inputs').entries()) {
    const path = `inputs[${index}]`
    const input = membersOf(value, path, ['name', 'shape', 'datatype', 'parameters', 'data'])
    const contract = byName.get(nameOf(input, path))
    if (contract === undefined || Object.hasOwn(feeds, contract.name)) {
      const names = wanted.map(({ name }) => name).join(', ')
      throw new ApiError('invalid_input', `${path}.name must be one of the model's inputs, each once: ${names}.`, {
        field: `${path}.name`,
      })
    }
    feeds[contract.name] = readTensor(input, contract, path, options)
  }
  const missing = wanted.find(({ name }) => !Object.hasOwn(feeds, name))
  if (missing !== undefined) {
    throw new ApiError('invalid_input', `Input ${missing.name} is missing in inputs.`, { field: 'inputs' })
  }
  if (options.sameRows) checkSameRows(feeds)
  return feeds
}

function checkSameRows(feeds: Tensors): void {
  const counts = Object.entries(feeds).map(([name, { shape }]) => ({ name, rows: shape[0] ?? 1 }))
  const [first] = counts
  const other = counts.find(({ rows }) => rows !== first?.rows)
  if (first === undefined || other === undefined) return
  const problem = `inputs must have the same number of rows: ${first.name} has ${first.rows}, ${other.name} has ${other.rows}.`
  throw new ApiError('invalid_input', problem, { field: 'inputs' })
}

function readTensor(
  input: Members,
  contract: TensorContract,
  path: string,
  { maxRows, behind }: ReadingOptions,
): Tensor {
  if (input['datatype'] !== contract.datatype) {
    const problem = `${path}.datatype must be ${contract.datatype} for input ${contract.name}, got ${shown(input['datatype'])}.`
    throw new ApiError('invalid_input', problem, { field: `${path}.datatype` })
  }
  const shape = readShape(input['shape'], contract, path, maxRows)
  const datatype = contract.datatype as Datatype
  const size = parametersOf(input, path)['binary_data_size']
  if (size === undefined) return { datatype, shape, data: tensorData(datatype, shape, input['data'], `${path}.data`) }
  if (input['data'] !== undefined)
    throw invalid(`${path}.data`, `${path} has both data and parameters.binary_data_size; send one of them.`)
  return { datatype, shape, data: dataFromBytes(datatype, shape, behind.take(size, path), path) }
}

function readShape(value: unknown, { name, shape }: TensorContract, path: string, maxRows: number): number[] {
  const field = `${path}.shape`
  const dimensions = listOf(value, field)
  const fits =
    dimensions.length === shape.length &&
    dimensions.every(
      (size, axis) => typeof size === 'number' && Number.isSafeInteger(size) && size > 0 && fitsAxis(size, shape[axis]),
    )
  if (!fits) {
    const wanted = `[${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`
    throw new ApiError('invalid_input', `${field} must be ${wanted} for input ${name}, got ${shown(value)}.`, { field })
  }
  const [rows] = dimensions as number[]
  if (shape[0] === -1 && rows !== undefined && rows > maxRows) {
    throw new ApiError('invalid_input', `${field} has ${rows} rows; at most ${maxRows} may come in one request.`, {
      field,
    })
  }
  return dimensions as number[]
}

function fitsAxis(size: number, wanted: number | undefined): boolean {
  return wanted === -1 || size === wanted
}

interface AskedOutput {
  readonly name: string
  readonly binary: boolean
}

function readOutputs(outputs: unknown, known: readonly TensorContract[], allBinary: boolean): readonly AskedOutput[] {
  const names = known.map(({ name }) => name)
  const all = names.map((name) => ({ name, binary: allBinary }))
  if (outputs === undefined) return all
  const asked = listOf(outputs, 'outputs').map((value, index) => {
    const path = `outputs[${index}]`
    const output = membersOf(value, path, ['name', 'parameters'])
    const binary = flagIn(parametersOf(output, path), 'binary_data', `${path}.parameters`) ?? allBinary
    const name = nameOf(output, path)
    if (names.includes(name)) return { name, binary }
    const field = `${path}.name`
    throw new ApiError('invalid_input', `${field} must be one of the model's outputs: ${names.join(', ')}.`, { field })
  })
  if (new Set(asked.map(({ name }) => name)).size < asked.length)
    throw new ApiError('invalid_input', 'outputs names one twice.', { field: 'outputs' })
  return asked.length === 0 ? all : asked
}

function membersOf(value: unknown, path: string, known: readonly string[]): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(path, `${path === '' ? 'The body' : path} must be a JSON object.`)
  }
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const field = `${path === '' ? '' : `${path}.`}${unknown.slice(0, 80)}`
    throw invalid(field, `Unknown member ${JSON.stringify(field)}; known are ${known.join(', ')}.`)
  }
  return value as Members
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(path, value === undefined ? `${path} is missing.` : `${path} must be an array, got ${shown(value)}.`)
}

function nameOf(members: Members, path: string): string {
  const { name } = members
  if (typeof name === 'string') return name
  throw invalid(`${path}.name`, `${path}.name must be a string, got ${shown(name)}.`)
}

/** They belong to extensions; what is not known is optional to give, and ignored. */
function parametersOf({ parameters }: Members, path: string): Members {
  if (parameters === undefined) return {}
  if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters)) return parameters as Members
  const field = path === '' ? 'parameters' : `${path}.parameters`
  throw invalid(field, `${field} must be an object.`)
}

function flagIn(parameters: Members, name: string, path: string): boolean | undefined {
  const value = parameters[name]
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(`${path}.${name}`, `${path}.${name} must be true or false, got ${shown(value)}.`)
}

function invalid(field: string, message: string): ApiError {
  return new ApiError('invalid_request', message, field === '' ? {} : { field })
}

const MAX_SHOWN = 60

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const json = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part))
  return json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json
}
