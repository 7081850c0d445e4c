/** The JSON of an Open Inference Protocol V2 request, checked against the model's contract; all of it but the elements of tensors. */
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { Datatype } from '../../model/tensor.ts'
import { ApiError } from '../api-error.ts'
import { timeoutInParameters } from '../timeout.ts'

export interface InferHead {
  readonly id?: string
  /** Each of the model's once, in the order of the request. */
  readonly inputs: readonly AskedInput[]
  /** Those that were asked for; all of them when none is named. */
  readonly outputs: readonly AskedOutput[]
  readonly outputNames: readonly string[]
  /** How long the client waits, in milliseconds; Infinity when it does not say. */
  readonly timeoutMs: number
}

export interface AskedInput {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Of the input in the request, for words about it. */
  readonly path: string
  /** Elements in JSON, not looked at yet. */
  readonly data: unknown
  /** Bytes behind the JSON that are its elements; undefined when they are in JSON. */
  readonly binarySize: unknown
}

export interface AskedOutput {
  readonly name: string
  /** Its elements are to follow the JSON as bytes. */
  readonly isBinary: boolean
}

export interface InferLimits {
  /** Of a batch dimension. */
  readonly maxRows: number
  /** True for a model of rows: all of its inputs must have the same number of them. */
  readonly sameRows: boolean
}

type Members = Readonly<Record<string, unknown>>

/** Reads the heads of requests to one model. */
export class InferHeadReader {
  readonly #inputs: ReadonlyMap<string, TensorContract>
  readonly #outputNames: readonly string[]
  readonly #limits: InferLimits

  constructor({ inputs, outputs }: ModelContract, limits: InferLimits) {
    this.#inputs = new Map(inputs.map((tensor) => [tensor.name, tensor]))
    this.#outputNames = outputs.map(({ name }) => name)
    this.#limits = limits
  }

  /** @throws ApiError that names the field */
  read(body: unknown): InferHead {
    const request = membersOf(body, '', ['id', 'parameters', 'inputs', 'outputs'])
    const { id } = request
    if (id !== undefined && typeof id !== 'string') throw invalid('id', 'id must be a string.')
    const parameters = parametersOf(request, '')
    const allBinary = flagIn(parameters, 'binary_data_output', 'parameters') ?? false
    const inputs = this.#readInputs(request['inputs'])
    const outputs = this.#readOutputs(request['outputs'], allBinary)
    return {
      ...(id !== undefined && { id }),
      inputs,
      outputs,
      outputNames: outputs.map(({ name }) => name),
      timeoutMs: timeoutInParameters(parameters),
    }
  }

  #readInputs(value: unknown): AskedInput[] {
    const inputs: AskedInput[] = []
    for (const [index, each] of listOf(value, 'inputs').entries()) {
      const path = `inputs[${index}]`
      const members = membersOf(each, path, ['name', 'shape', 'datatype', 'parameters', 'data'])
      const contract = this.#inputs.get(nameOf(members, path))
      if (contract === undefined || inputs.some(({ name }) => name === contract.name)) {
        const names = [...this.#inputs.keys()].join(', ')
        throw new ApiError('invalid_input', `${path}.name must be one of the model's inputs, each once: ${names}.`, {
          field: `${path}.name`,
        })
      }
      inputs.push(readInput(members, contract, path, this.#limits.maxRows))
    }
    for (const name of this.#inputs.keys()) {
      if (inputs.some((input) => input.name === name)) continue
      throw new ApiError('invalid_input', `Input ${name} is missing in inputs.`, { field: 'inputs' })
    }
    if (this.#limits.sameRows) checkSameRows(inputs)
    return inputs
  }

  #readOutputs(value: unknown, allBinary: boolean): readonly AskedOutput[] {
    const names = this.#outputNames
    const asked =
      value === undefined
        ? []
        : listOf(value, 'outputs').map((each, index) => {
            const path = `outputs[${index}]`
            const members = membersOf(each, path, ['name', 'parameters'])
            const isBinary = flagIn(tensorParametersOf(members, path), 'binary_data', `${path}.parameters`) ?? allBinary
            const name = nameOf(members, path)
            if (names.includes(name)) return { name, isBinary }
            const field = `${path}.name`
            throw new ApiError('invalid_input', `${field} must be one of the model's outputs: ${names.join(', ')}.`, {
              field,
            })
          })
    if (new Set(asked.map(({ name }) => name)).size < asked.length)
      throw new ApiError('invalid_input', 'outputs names one twice.', { field: 'outputs' })
    return asked.length === 0 ? names.map((name) => ({ name, isBinary: allBinary })) : asked
  }
}

/**
 * Members that a request has when none comes twice; of one that `InferHeadReader` reads.
 * @param body the parsed JSON
 */
export function membersOfRequest(body: unknown): number {
  const { inputs, outputs = [], parameters } = body as Members
  let members = Object.keys(body as Members).length + membersWithin(parameters)
  for (const tensor of [...(inputs as Members[]), ...(outputs as Members[])])
    members += Object.keys(tensor).length + membersWithin(tensor['parameters'])
  return members
}

function membersWithin(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let members = Array.isArray(value) ? 0 : Object.keys(value).length
  for (const each of Object.values(value)) members += membersWithin(each)
  return members
}

function readInput(input: Members, contract: TensorContract, path: string, maxRows: number): AskedInput {
  if (input['datatype'] !== contract.datatype) {
    const problem = `${path}.datatype must be ${contract.datatype} for input ${contract.name}, got ${shown(input['datatype'])}.`
    throw new ApiError('invalid_input', problem, { field: `${path}.datatype` })
  }
  const shape = readShape(input['shape'], contract, path, maxRows)
  const { data } = input
  const binarySize = tensorParametersOf(input, path)['binary_data_size']
  if (binarySize !== undefined && data !== undefined)
    throw invalid(`${path}.data`, `${path} has both data and parameters.binary_data_size; send one of them.`)
  return { name: contract.name, datatype: contract.datatype as Datatype, shape, path, data, binarySize }
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

function checkSameRows(inputs: readonly AskedInput[]): void {
  const [first] = inputs
  const rows = first?.shape[0] ?? 1
  const other = inputs.find(({ shape }) => (shape[0] ?? 1) !== rows)
  if (first === undefined || other === undefined) return
  const problem = `inputs must have the same number of rows: ${first.name} has ${rows}, ${other.name} has ${other.shape[0] ?? 1}.`
  throw new ApiError('invalid_input', problem, { field: 'inputs' })
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

/** Of extensions that this server does not have: an answer that took no notice of them would be a wrong one. */
const UNKNOWN_EXTENSION = /^(classification|shared_memory_\w+)$/

function tensorParametersOf(members: Members, path: string): Members {
  const parameters = parametersOf(members, path)
  for (const name in parameters) {
    if (!UNKNOWN_EXTENSION.test(name)) continue
    const field = `${path}.parameters.${name}`
    throw invalid(field, `${field} is of an extension that this server does not have; leave it out.`)
  }
  return parameters
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
