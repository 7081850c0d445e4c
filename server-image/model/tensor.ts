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
  readonly create: (length: number) => TensorData
}

const ELEMENT_TYPES: readonly ElementType[] = [
  { datatype: 'FP32', onnx: 1, runtime: 'float32', create: (length) => new Float32Array(length) },
  { datatype: 'UINT8', onnx: 2, runtime: 'uint8', create: (length) => new Uint8Array(length) },
  { datatype: 'INT8', onnx: 3, runtime: 'int8', create: (length) => new Int8Array(length) },
  { datatype: 'UINT16', onnx: 4, runtime: 'uint16', create: (length) => new Uint16Array(length) },
  { datatype: 'INT16', onnx: 5, runtime: 'int16', create: (length) => new Int16Array(length) },
  { datatype: 'INT32', onnx: 6, runtime: 'int32', create: (length) => new Int32Array(length) },
  { datatype: 'INT64', onnx: 7, runtime: 'int64', create: (length) => new BigInt64Array(length) },
  { datatype: 'BYTES', onnx: 8, runtime: 'string', create: (length) => new Array<string>(length).fill('') },
  { datatype: 'BOOL', onnx: 9, runtime: 'bool', create: (length) => new Uint8Array(length) },
  { datatype: 'FP16', onnx: 10, runtime: 'float16', create: (length) => new Float16Array(length) },
  { datatype: 'FP64', onnx: 11, runtime: 'float64', create: (length) => new Float64Array(length) },
  { datatype: 'UINT32', onnx: 12, runtime: 'uint32', create: (length) => new Uint32Array(length) },
  { datatype: 'UINT64', onnx: 13, runtime: 'uint64', create: (length) => new BigUint64Array(length) },
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

/** A zeroed array (empty strings for BYTES) of the class that the datatype needs. */
export function emptyData(datatype: Datatype, length: number): TensorData {
  return elementType(datatype).create(length)
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}

function elementType(datatype: Datatype): ElementType {
  const found = byDatatype.get(datatype)
  if (found === undefined) throw new TypeError(`No element type is known for datatype ${datatype}.`)
  return found
}
