/** Elements of tensors between JSON and typed arrays; every element is checked, and 64-bit integers keep all their digits. */
import { elementCount, unwrittenData, type Datatype, type Tensor, type TensorData } from '../../model/tensor.ts'
import { ApiError, unrepresentable } from '../api-error.ts'

/**
 * @param data elements in row-major order, flat or nested as the shape says
 * @throws ApiError `invalid_input` that names the element
 */
export function tensorData(datatype: Datatype, shape: readonly number[], data: unknown, path: string): TensorData {
  if (!Array.isArray(data))
    throw invalid(path, data === undefined ? `${path} is missing.` : `${path} must be an array.`)
  const count = elementCount(shape)
  const isNested = shape.length > 1 && Array.isArray(data[0])
  // Law: nothing is allocated by a size that the client only claims.
  if (!isNested && data.length !== count) {
    throw invalid(path, `${path} must have ${count} elements for shape [${shape.join(', ')}], got ${data.length}.`)
  }
  const flat: unknown[] = isNested ? [] : data
  if (isNested) flatten(data, shape, path, flat)
  const target = unwrittenData(datatype, count)
  const check = CHECKS[datatype]
  for (let index = 0; index < count; index += 1) {
    const value = check.read(flat[index])
    if (value === undefined) {
      const field = `${path}[${isNested ? indexesOf(index, shape) : index}]`
      throw invalid(field, `${field} must be ${check.wanted}, got ${shown(flat[index])}.`)
    }
    target[index] = value
  }
  return target
}

/** Nested arrays must have the shape's lengths at every level, so depth is bounded by the model's rank. */
function flatten(level: unknown, shape: readonly number[], path: string, into: unknown[]): void {
  const [size = 0, ...inner] = shape
  if (!Array.isArray(level) || level.length !== size)
    throw invalid(path, `${path} must be an array of ${size}, as the shape says.`)
  if (inner.length === 0) for (const element of level as unknown[]) into.push(element)
  else level.forEach((part, index) => flatten(part, inner, `${path}[${index}]`, into))
}

function indexesOf(index: number, shape: readonly number[]): string {
  const indexes: number[] = []
  let rest = index
  for (const size of shape.toReversed()) {
    indexes.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  return indexes.join('][')
}

type Element = number | bigint | string

interface ElementCheck {
  readonly wanted: string
  /** Undefined when the value is not one of this datatype. */
  readonly read: (value: unknown) => Element | undefined
}

function float(max: number, wanted: string): ElementCheck {
  return {
    wanted,
    read(value) {
      const number = typeof value === 'bigint' ? Number(value) : value
      return typeof number === 'number' && Math.abs(number) <= max ? number : undefined
    },
  }
}

function integer(min: number, max: number): ElementCheck {
  return {
    wanted: `an integer from ${min} to ${max}`,
    read: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
  }
}

function bigInteger(min: bigint, max: bigint): ElementCheck {
  return {
    wanted: `an integer from ${min} to ${max}`,
    read(value) {
      const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))
      if (!isWhole) return undefined
      const big = BigInt(value)
      return big >= min && big <= max ? big : undefined
    },
  }
}

const CHECKS: Readonly<Record<Datatype, ElementCheck>> = {
  FP16: float(65_504, 'a number that fits 16-bit floating point'),
  FP32: float(3.4028234663852886e38, 'a finite number that fits 32-bit floating point'),
  FP64: float(Number.MAX_VALUE, 'a finite number'),
  INT8: integer(-128, 127),
  INT16: integer(-32_768, 32_767),
  INT32: integer(-2_147_483_648, 2_147_483_647),
  UINT8: integer(0, 255),
  UINT16: integer(0, 65_535),
  UINT32: integer(0, 4_294_967_295),
  INT64: bigInteger(-(2n ** 63n), 2n ** 63n - 1n),
  UINT64: bigInteger(0n, 2n ** 64n - 1n),
  BOOL: {
    wanted: 'true or false',
    read: (value) => (value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined),
  },
  // ONNX Runtime's binding would cut the text there without a word.
  BYTES: {
    wanted: 'a string without the character U+0000',
    read: (value) => (typeof value === 'string' && !value.includes('\0') ? value : undefined),
  },
}

/**
 * A tensor's elements as JSON, flat.
 * @throws ApiError `unrepresentable_output` when JSON has no word for one of them
 */
export function dataJson(name: string, { datatype, data }: Tensor): string {
  if (Array.isArray(data)) return JSON.stringify(data)
  if (datatype === 'BOOL') return `[${Array.from(data as Uint8Array, (value) => value !== 0).join()}]`
  const isFloat = datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64'
  if (isFloat && !(data as Float32Array).every(Number.isFinite)) {
    throw unrepresentable(`Output ${name} holds NaN or infinity`)
  }
  return `[${data.join()}]`
}

function invalid(field: string, message: string): ApiError {
  return new ApiError('invalid_input', message, { field })
}

function shown(value: unknown): string {
  if (typeof value === 'bigint') return String(value).slice(0, 40)
  const json = JSON.stringify(value) as string | undefined
  return json === undefined ? 'nothing' : json.length > 40 ? `${json.slice(0, 40)}…` : json
}
