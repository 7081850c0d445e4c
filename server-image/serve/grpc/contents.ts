/** The typed contents of gRPC's tensors: fields of numbers, where everything else here is bytes. */
import { create } from '@bufbuild/protobuf'
import { elementCount, emptyData, type Datatype, type Tensor, type TensorData } from '../../model/tensor.ts'
import { ApiError } from '../api-error.ts'
import { bytesOfTensor, dataFromBytes } from '../v2/binary-data.ts'
import { InferTensorContentsSchema, type InferTensorContents } from './generated/open_inference_pb.js'

type Field = Exclude<keyof InferTensorContents, '$typeName' | '$unknown'>

/** FP16 has no field: it can only be sent raw. */
const FIELD_OF: Readonly<Record<Exclude<Datatype, 'FP16'>, Field>> = {
  BOOL: 'boolContents',
  INT8: 'intContents',
  INT16: 'intContents',
  INT32: 'intContents',
  INT64: 'int64Contents',
  UINT8: 'uintContents',
  UINT16: 'uintContents',
  UINT32: 'uintContents',
  UINT64: 'uint64Contents',
  FP32: 'fp32Contents',
  FP64: 'fp64Contents',
  BYTES: 'bytesContents',
}

export interface ContentsOf {
  /** As the client wrote it, so not yet known to be one. */
  readonly datatype: string
  readonly shape: readonly number[]
  readonly contents: InferTensorContents | undefined
  readonly path: string
}

/** The elements as the bytes that the binary tensor data extension has. @throws ApiError that names the field */
export function bytesOfContents({ datatype, shape, contents, path }: ContentsOf): Buffer {
  const field = fieldOf(datatype)
  if (field === undefined) {
    throw invalid(
      `${path}.contents`,
      `${path}.contents cannot hold ${datatype.slice(0, 40)}; send it in raw_input_contents.`,
    )
  }
  const values = contents?.[field] ?? []
  const name = `${path}.contents.${protoName(field)}`
  if (values.length !== elementCount(shape)) {
    throw invalid(
      name,
      `${name} must have ${elementCount(shape)} elements for shape [${shape.join()}], got ${values.length}.`,
    )
  }
  if (datatype === 'BYTES') return lengthPrefixed(values as Uint8Array[])
  const data = emptyData(datatype as Datatype, values.length) as Exclude<TensorData, string[]>
  values.forEach((value, index) => {
    data[index] = value as never
    // Typed arrays wrap what does not fit around, and make other floats of floats.
    const isKept = typeof value === 'boolean' || datatype === 'FP32' || datatype === 'FP64' || data[index] === value
    if (!isKept) throw invalid(`${name}[${index}]`, `${name}[${index}] is ${String(value)}, which is no ${datatype}.`)
  })
  return bytesOfTensor({ datatype: datatype as Datatype, shape, data })
}

/** @returns undefined when the datatype has no field */
export function contentsOfBytes(
  datatype: Datatype,
  shape: readonly number[],
  bytes: Buffer,
): InferTensorContents | undefined {
  const field = fieldOf(datatype)
  if (field === undefined) return undefined
  const data = dataFromBytes(datatype, shape, bytes, 'output')
  const contents = create(InferTensorContentsSchema)
  contents[field] = elementsOf({ datatype, shape, data }) as never
  return contents
}

function elementsOf({ datatype, data }: Tensor): readonly unknown[] {
  if (Array.isArray(data)) return data.map((text) => Buffer.from(text, 'utf8'))
  return datatype === 'BOOL'
    ? Array.from(data as Uint8Array, (value) => value === 1)
    : Array.from(data as ArrayLike<unknown>)
}

function fieldOf(datatype: string): Field | undefined {
  return Object.hasOwn(FIELD_OF, datatype) ? FIELD_OF[datatype as keyof typeof FIELD_OF] : undefined
}

/** Text may be none here: whether it is UTF-8 is checked where all of it is read. */
function lengthPrefixed(elements: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(element.length)
      return [length, element]
    }),
  )
}

function protoName(field: Field): string {
  return field.replace('Contents', '_contents')
}

function invalid(field: string, message: string): ApiError {
  return new ApiError('invalid_input', message, { field })
}
