/** JSON Schemas (2020-12, as OpenAPI 3.1 has them) of single values: a feature of a row, an element of a tensor. */
import type { Datatype } from '../../model/tensor.ts'

export type Schema = Readonly<Record<string, unknown>>

const INTEGERS: Readonly<Partial<Record<Datatype, readonly [min: number, max: number]>>> = {
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
}

const FLOATS: Readonly<Partial<Record<Datatype, Schema>>> = {
  FP16: { type: 'number', minimum: -65_504, maximum: 65_504 },
  FP32: { type: 'number', format: 'float', minimum: -3.4028234663852886e38, maximum: 3.4028234663852886e38 },
  FP64: { type: 'number', format: 'double' },
}

/** ONNX Runtime's binding would cut a text at U+0000. */
const TEXT: Schema = { type: 'string', pattern: '^[^\\u0000]*$' }

/** An element of a tensor as a request may have it. 64-bit integers have bounds that a JSON number of most tools cannot hold. */
export function elementSchema(datatype: Datatype): Schema {
  if (datatype === 'BYTES') return TEXT
  if (datatype === 'BOOL') return { enum: [true, false, 1, 0] }
  if (datatype === 'INT64') return { type: 'integer', format: 'int64' }
  if (datatype === 'UINT64') return { type: 'integer', format: 'uint64', minimum: 0 }
  return boundedInteger(datatype) ?? FLOATS[datatype] ?? {}
}

/** A value of a row, where 64-bit integers must be exact as JSON numbers. */
export function featureValueSchema(datatype: Datatype): Schema {
  if (datatype !== 'INT64' && datatype !== 'UINT64') return elementSchema(datatype)
  const minimum = datatype === 'INT64' ? Number.MIN_SAFE_INTEGER : 0
  return { type: 'integer', format: datatype.toLowerCase(), minimum, maximum: Number.MAX_SAFE_INTEGER }
}

/** An element of a tensor as an answer has it. */
export function answerElementSchema(datatype: Datatype): Schema {
  if (datatype === 'BOOL') return { type: 'boolean' }
  return datatype === 'BYTES' ? { type: 'string' } : elementSchema(datatype)
}

function boundedInteger(datatype: Datatype): Schema | undefined {
  const range = INTEGERS[datatype]
  if (range === undefined) return undefined
  return { type: 'integer', format: datatype.toLowerCase(), minimum: range[0], maximum: range[1] }
}

/** `#/components/schemas/<name>` */
export function schemaRef(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}
