/** For tests only: small models that are made where they are needed, byte by byte, as protobuf has them (onnx.proto). */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

export interface MadeNode {
  readonly operator: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Integers; a list of them is a repeated attribute. */
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>
}

export interface MadeValue {
  readonly name: string
  /** TensorProto.DataType. */
  readonly elementType: number
  /** A text is the name of a dimension that may vary. */
  readonly shape: readonly (number | string)[]
}

export interface MadeModel {
  readonly nodes: readonly MadeNode[]
  readonly inputs: readonly MadeValue[]
  readonly outputs: readonly MadeValue[]
}

type Part = (writer: BinaryWriter) => BinaryWriter

export function madeModel({ nodes, inputs, outputs }: MadeModel): Uint8Array {
  const graph = built(
    ...nodes.map((node) => bytes(1, nodeOf(node))),
    text(2, 'graph'),
    ...inputs.map((value) => bytes(11, valueOf(value))),
    ...outputs.map((value) => bytes(12, valueOf(value))),
  )
  return built(integer(1, 10), bytes(7, graph), bytes(8, built(text(1, ''), integer(2, 21))))
}

function nodeOf({ operator, inputs, outputs, attributes = {} }: MadeNode): Uint8Array {
  return built(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attributeOf(name, value))),
  )
}

function attributeOf(name: string, value: number | readonly number[]): Uint8Array {
  const [INT, INTS] = [2, 7]
  if (typeof value === 'number') return built(text(1, name), integer(3, value), integer(20, INT))
  return built(text(1, name), ...value.map((each) => integer(8, each)), integer(20, INTS))
}

function valueOf({ name, elementType, shape }: MadeValue): Uint8Array {
  const dimensions = shape.map((size) => bytes(1, built(typeof size === 'number' ? integer(1, size) : text(2, size))))
  const tensor = built(integer(1, elementType), bytes(2, built(...dimensions)))
  return built(text(1, name), bytes(2, built(bytes(1, tensor))))
}

function built(...parts: readonly Part[]): Uint8Array {
  return parts.reduce((writer, part) => part(writer), new BinaryWriter()).finish()
}

function bytes(field: number, content: Uint8Array): Part {
  return (writer) => writer.tag(field, WireType.LengthDelimited).bytes(content)
}

function text(field: number, value: string): Part {
  return bytes(field, new TextEncoder().encode(value))
}

function integer(field: number, value: number): Part {
  return (writer) => writer.tag(field, WireType.Varint).int64(value)
}
