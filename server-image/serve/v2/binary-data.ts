/**
 * The binary tensor data extension of the V2 protocol: the body is a JSON header, as long as a header says, and behind it the bytes of
 * the tensors that name their size, in the order of the JSON. Elements are little-endian and in row-major order; each BYTES element is
 * four bytes of length and so many bytes of UTF-8 (Triton, "Binary Tensor Data Extension").
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import {
  bytesOfElement,
  elementCount,
  unwrittenData,
  type Datatype,
  type Tensor,
  type TensorData,
} from '../../model/tensor.ts'
import { ApiError } from '../api-error.ts'

export const HEADER_LENGTH = 'inference-header-content-length'

export interface SplitBody {
  readonly json: Buffer
  /** What lies behind the JSON; undefined when the request does not use the extension. */
  readonly binary?: Buffer
}

/** @throws ApiError `invalid_request` when the header is no length within the body */
export function splitBody(headers: IncomingHttpHeaders, body: Buffer): SplitBody {
  const text = headers[HEADER_LENGTH]
  if (text === undefined) return { json: body }
  const length = typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (!(length <= body.length)) {
    throw invalid(
      'invalid_request',
      HEADER_LENGTH,
      `The header ${HEADER_LENGTH} must be a whole number of bytes, at most the ${body.length} of the body.`,
    )
  }
  return { json: body.subarray(0, length), binary: body.subarray(length) }
}

/** The bytes behind the JSON, taken piece by piece. */
export class BinaryInput {
  readonly #bytes: Buffer
  #taken = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** @throws ApiError when there are not so many left */
  take(size: unknown, path: string): Buffer {
    const field = `${path}.parameters.binary_data_size`
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw invalid('invalid_request', field, `${field} must be a whole number of bytes.`)
    const left = this.#bytes.length - this.#taken
    if (size > left)
      throw invalid('invalid_request', field, `${field} is ${size}, but only ${left} bytes of the body are left.`)
    this.#taken += size
    return this.#bytes.subarray(this.#taken - size, this.#taken)
  }

  /** @throws ApiError when bytes are left that no input names */
  end(): void {
    const left = this.#bytes.length - this.#taken
    if (left > 0)
      throw invalid(
        'invalid_request',
        'inputs',
        `${left} bytes of the body belong to no input; say parameters.binary_data_size for each.`,
      )
  }
}

/**
 * Floats may be NaN or infinite here, as many models take NaN for a missing value; JSON has no word for them.
 * @throws ApiError `invalid_input` when the bytes are not such a tensor
 */
export function dataFromBytes(datatype: Datatype, shape: readonly number[], bytes: Buffer, field: string): TensorData {
  const count = elementCount(shape)
  if (datatype === 'BYTES') return stringsFromBytes(count, bytes, field)
  const size = bytesOfElement(datatype)
  if (bytes.length !== count * size) {
    throw invalid(
      'invalid_input',
      field,
      `${field} must have ${count * size} bytes, ${size} for each of ${count} elements of ${datatype}, got ${bytes.length}.`,
    )
  }
  const wrong = datatype === 'BOOL' ? bytes.findIndex((byte) => byte > 1) : -1
  if (wrong >= 0) throw invalid('invalid_input', field, `${field}: element ${wrong} of a BOOL must be 0 or 1.`)
  // A copy: the elements must be aligned in memory, and the request's buffer may be shared.
  const data = unwrittenData(datatype, count) as Exclude<TensorData, string[]>
  bytes.copy(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return data
}

function stringsFromBytes(count: number, bytes: Buffer, field: string): string[] {
  const texts: string[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw invalid('invalid_input', field, `${field} ends within the length of an element.`)
    const length = bytes.readUInt32LE(at)
    const text = bytes.subarray(at + 4, at + 4 + length)
    if (text.length < length || texts.length === count || !isUtf8(text) || text.includes(0)) {
      const problem = `element ${texts.length} is not ${length} bytes of UTF-8 without U+0000, or one too many for ${count} elements`
      throw invalid('invalid_input', field, `${field}: ${problem}.`)
    }
    texts.push(text.toString('utf8'))
    at += 4 + length
  }
  if (texts.length < count)
    throw invalid('invalid_input', field, `${field} must have ${count} elements, got ${texts.length}.`)
  return texts
}

export function bytesOfTensor({ data }: Tensor): Buffer {
  if (!Array.isArray(data)) return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat(parts)
}

function invalid(code: 'invalid_request' | 'invalid_input', field: string, message: string): ApiError {
  return new ApiError(code, message, { field })
}
