/**
 * How many fields a ModelInfer message has, counted before any of them becomes an object: two bytes are enough for one, so a message within
 * the limit of bytes could take hundreds of times as much memory, and seconds to decode.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { Code, type ConnectError } from '@connectrpc/connect'
import { refusal } from './failure.ts'

/** Inputs, outputs, parameters, raw contents. */
const MAX_FIELDS = 10_000
/** Elements of typed contents that are not packed: those of BYTES never are. */
const MAX_ELEMENTS = 200_000

const INPUTS = 5
const CONTENTS = 5

interface Left {
  fields: number
  elements: number
}

/** @param message without its frame. Bytes that are no message are left to the decoder, which says what is wrong. */
export function tooManyFields(message: Uint8Array): ConnectError | undefined {
  const left: Left = { fields: MAX_FIELDS, elements: MAX_ELEMENTS }
  try {
    eachField(message, (number, content) => {
      left.fields -= 1
      if (number === INPUTS && content !== undefined) countInput(content, left)
      return left.fields >= 0 && left.elements >= 0
    })
  } catch {
    return undefined
  }
  if (left.fields < 0) return refusal(`The message has more than ${MAX_FIELDS} fields.`, Code.InvalidArgument)
  if (left.elements < 0) {
    return refusal(
      `The contents have more than ${MAX_ELEMENTS} fields; send them in raw_input_contents.`,
      Code.InvalidArgument,
    )
  }
  return undefined
}

function countInput(input: Uint8Array, left: Left): void {
  eachField(input, (number, content) => {
    left.fields -= 1
    if (number === CONTENTS && content !== undefined) {
      eachField(content, () => {
        left.elements -= 1
        return left.elements >= 0
      })
    }
    return left.fields >= 0 && left.elements >= 0
  })
}

/** @param take gets a field's number, and its bytes when it has a length; false ends the reading */
function eachField(bytes: Uint8Array, take: (number: number, content: Uint8Array | undefined) => boolean): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    let content: Uint8Array | undefined
    if (wireType === WireType.LengthDelimited) content = reader.bytes()
    else reader.skip(wireType, number)
    if (!take(number, content)) return
  }
}
