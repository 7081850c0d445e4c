/** The wire format of protobuf: numbered fields with varints, fixed numbers (both as bigint) or bytes. */
import { badRequest } from '../status.ts'

export type WireValue = bigint | Uint8Array

export interface WireField {
  readonly number: number
  readonly value: WireValue
}

const VARINT = 0
const FIXED_64 = 1
const BYTES = 2
const FIXED_32 = 5

export class ProtobufReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next field, or undefined at the end. Throws 400 for bytes that are no message. */
  next(): WireField | undefined {
    if (this.#at >= this.#bytes.length) return undefined
    const tag = Number(this.#varint())
    return { number: tag >>> 3, value: this.#value(tag & 7) }
  }

  #value(wireType: number): WireValue {
    switch (wireType) {
      case VARINT:
        return this.#varint()
      case FIXED_64:
        return this.#fixed(8)
      case FIXED_32:
        return this.#fixed(4)
      case BYTES:
        return this.#take(Number(this.#varint()))
      default:
        throw badRequest(`proto: illegal wireType ${wireType}`)
    }
  }

  #varint(): bigint {
    let result = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at]
      if (byte === undefined) throw badRequest('unexpected EOF')
      this.#at += 1
      result |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return result
    }
    throw badRequest('proto: integer overflow')
  }

  #fixed(length: number): bigint {
    return this.#take(length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n as bigint)
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw badRequest('unexpected EOF')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}
