/**
 * Reads protobuf messages by a table of the fields that matter; every other field is skipped where it stands, uncopied.
 *
 * A field whose wire type differs from the expected one is skipped, as a protobuf parser would. All work of one read is
 * charged to one budget, so bytes that were made to be slow end in an error and not in a busy pod.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { ModelError } from './model-error.ts'

/** What is left of the work that one model may cause. */
export interface ReadBudget {
  fields: number
}

/** About twenty seconds of reading: what a tree ensemble of 2 GiB has. The largest in use have a tenth of it. */
export const MAX_FIELDS = 500_000_000

/** Takes the field's value from the reader, or returns false and has moved nothing. */
export type FieldHandler = (reader: BinaryReader, wireType: WireType) => boolean

/** Field number to handler. */
export type FieldTable = Readonly<Record<number, FieldHandler>>

/** Longest text that is read into a string. Names of tensors are far below it. */
const MAX_TEXT_BYTES = 65_536

const utf8 = new TextDecoder('utf-8')

export function readMessage(bytes: Uint8Array, table: FieldTable, budget: ReadBudget): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    spendField(budget)
    const [fieldNumber, wireType] = reader.tag()
    const handler = table[fieldNumber]
    if (handler === undefined || !handler(reader, wireType)) reader.skip(wireType, fieldNumber)
  }
}

/** Calls `take` with each field's number, its raw bytes including the tag, and its content when that has a length. */
export function eachRawField(
  bytes: Uint8Array,
  budget: ReadBudget,
  take: (fieldNumber: number, raw: Uint8Array, content: Uint8Array | undefined) => void,
): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    spendField(budget)
    const start = reader.pos
    const [fieldNumber, wireType] = reader.tag()
    let content: Uint8Array | undefined
    if (wireType === WireType.LengthDelimited) content = reader.bytes()
    else reader.skip(wireType, fieldNumber)
    take(fieldNumber, bytes.subarray(start, reader.pos), content)
  }
}

function spendField(budget: ReadBudget): void {
  budget.fields -= 1
  if (budget.fields < 0) {
    throw new ModelError(
      'UnsupportedModel',
      `The model has more than ${MAX_FIELDS} fields, too many to inspect; export a smaller one.`,
    )
  }
}

export function message(take: (content: Uint8Array) => void): FieldHandler {
  return (reader, wireType) => {
    if (wireType !== WireType.LengthDelimited) return false
    take(reader.bytes())
    return true
  }
}

export function text(take: (value: string) => void): FieldHandler {
  return message((content) => {
    if (content.length > MAX_TEXT_BYTES) {
      throw new ModelError(
        'InvalidModel',
        `A name in the model is ${content.length} bytes long; the file looks damaged.`,
      )
    }
    take(utf8.decode(content))
  })
}

/** Like `text`, but what is too long is cut: for documentation and metadata, which no computation needs. */
export function cutText(maxBytes: number, take: (value: string) => void): FieldHandler {
  return message((content) => take(utf8.decode(content.subarray(0, maxBytes))))
}

export function int64(take: (value: bigint) => void): FieldHandler {
  return (reader, wireType) => {
    if (wireType !== WireType.Varint) return false
    take(BigInt(reader.int64()))
    return true
  }
}

/** A repeated int64, packed or not. */
export function int64s(take: (value: bigint) => void): FieldHandler {
  const single = int64(take)
  return (reader, wireType) => {
    if (wireType !== WireType.LengthDelimited) return single(reader, wireType)
    const packed = new BinaryReader(reader.bytes())
    while (packed.pos < packed.len) take(BigInt(packed.int64()))
    return true
  }
}

/** Runs a read of untrusted bytes: whatever it throws becomes a ModelError. */
export function asModelError<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof ModelError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new ModelError(
      'InvalidModel',
      `The file is not a valid ONNX model (${why}); it may be cut short or of another format. Export it again.`,
      { cause: error },
    )
  }
}
