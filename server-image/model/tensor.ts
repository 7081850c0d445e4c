/** Tensors in the vocabulary of the Open Inference Protocol, and the one table that ties it to ONNX and to ONNX Runtime. */

export type Datatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

/** BOOL is one byte each (0 or 1); BYTES are strings. */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float16Array
  | Float32Array
  | Float64Array
  | string[]

export interface Tensor {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: TensorData
}

export type Tensors = Readonly<Record<string, Tensor>>

interface ElementType {
  readonly datatype: Datatype
  /** TensorProto.DataType of onnx.proto. */
  readonly onnx: number
  /** The type's name in ONNX Runtime's JavaScript API. */
  readonly runtime: string
  /** Of an element. */
  readonly bytes: number
  readonly create: (length: number) => TensorData
  /** Absent for strings. */
  readonly view?: (memory: ArrayBuffer, offset: number, length: number) => TensorData
}

function numbers(
  datatype: Datatype,
  onnx: number,
  runtime: string,
  Numbers: {
    readonly BYTES_PER_ELEMENT: number
    new (memory: ArrayBuffer, offset: number, length: number): TensorData
    new (length: number): TensorData
  },
): ElementType {
  return {
    datatype,
    onnx,
    runtime,
    bytes: Numbers.BYTES_PER_ELEMENT,
    create: (length) => new Numbers(length),
    view: (memory, offset, length) => new Numbers(memory, offset, length),
  }
}

const ELEMENT_TYPES: readonly ElementType[] = [
  numbers('FP32', 1, 'float32', Float32Array),
  numbers('UINT8', 2, 'uint8', Uint8Array),
  numbers('INT8', 3, 'int8', Int8Array),
  numbers('UINT16', 4, 'uint16', Uint16Array),
  numbers('INT16', 5, 'int16', Int16Array),
  numbers('INT32', 6, 'int32', Int32Array),
  numbers('INT64', 7, 'int64', BigInt64Array),
  { datatype: 'BYTES', onnx: 8, runtime: 'string', bytes: 0, create: (length) => new Array<string>(length).fill('') },
  numbers('BOOL', 9, 'bool', Uint8Array),
  numbers('FP16', 10, 'float16', Float16Array),
  numbers('FP64', 11, 'float64', Float64Array),
  numbers('UINT32', 12, 'uint32', Uint32Array),
  numbers('UINT64', 13, 'uint64', BigUint64Array),
]

const byDatatype = new Map(ELEMENT_TYPES.map((type) => [type.datatype, type]))
const byOnnx = new Map(ELEMENT_TYPES.map((type) => [type.onnx, type]))
const byRuntime = new Map(ELEMENT_TYPES.map((type) => [type.runtime, type]))

/** Undefined for the types that the server cannot exchange: bfloat16, float8, int4, complex ... */
export function datatypeOfOnnx(elementType: number): Datatype | undefined {
  return byOnnx.get(elementType)?.datatype
}

export function datatypeOfRuntime(name: string): Datatype | undefined {
  return byRuntime.get(name)?.datatype
}

export function runtimeTypeOf(datatype: Datatype): string {
  return elementType(datatype).runtime
}

/** Of one element; 0 for BYTES, whose elements differ. */
export function bytesOfElement(datatype: Datatype): number {
  return elementType(datatype).bytes
}

/** A zeroed array (empty strings for BYTES) of the class that the datatype needs. */
export function emptyData(datatype: Datatype, length: number): TensorData {
  return elementType(datatype).create(length)
}

/** Below this an array takes longer to make than to fill. */
const SHARED_BYTES = 2048

/**
 * Like `emptyData`, for one that writes every element: small arrays are parts of memory that others have parts of as well, and may hold
 * anything before.
 */
export function unwrittenData(datatype: Datatype, length: number): TensorData {
  const { create, view, bytes } = elementType(datatype)
  if (view === undefined || length * bytes > SHARED_BYTES) return create(length)
  const room = Buffer.allocUnsafe(length * bytes)
  return room.byteOffset % bytes === 0 ? view(room.buffer, room.byteOffset, length) : create(length)
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}

function elementType(datatype: Datatype): ElementType {
  const found = byDatatype.get(datatype)
  if (found === undefined) throw new TypeError(`No element type is known for datatype ${datatype}.`)
  return found
}
