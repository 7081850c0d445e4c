/** Open Inference Protocol V2 requests to one model, read down to each element. */
import type { ModelContract } from '../../../protocol/resolve.ts'
import type { Tensor, Tensors } from '../../model/tensor.ts'
import { parseCounting, parseExactlyCounting, refuseRepeated, type CountedJson } from '../json/json-body.ts'
import { BinaryInput, dataFromBytes } from './binary-data.ts'
import { InferHeadReader, membersOfRequest, type InferHead, type InferLimits } from './infer-head.ts'
import { tensorData } from './tensor-data.ts'

export interface InferRequest {
  readonly head: InferHead
  readonly feeds: Tensors
}

/** Datatypes with values that a double cannot hold. */
const LONG_INTEGERS: ReadonlySet<string> = new Set(['INT64', 'UINT64'])

/** A client that sends its elements as bytes mostly says the same about them each time. */
const MAX_REMEMBERED = 16
const MAX_REMEMBERED_BYTES = 1024

const NO_BYTES = Buffer.alloc(0)

export class InferRequestReader {
  readonly #heads: InferHeadReader
  readonly #parse: (json: Buffer) => CountedJson
  readonly #remembered = new Map<string, InferHead>()

  constructor(contract: ModelContract, limits: InferLimits) {
    this.#heads = new InferHeadReader(contract, limits)
    this.#parse = contract.inputs.some(({ datatype }) => LONG_INTEGERS.has(datatype))
      ? parseExactlyCounting
      : parseCounting
  }

  /**
   * @param binary what follows the JSON in the body; undefined without the binary tensor data extension
   * @throws ApiError that names the field
   */
  read(json: Buffer, binary: Buffer | undefined): InferRequest {
    const head = binary === undefined ? this.#headOf(json) : this.#rememberedHeadOf(json)
    const behind = new BinaryInput(binary ?? NO_BYTES)
    const feeds: Record<string, Tensor> = {}
    for (const { name, datatype, shape, path, data, binarySize } of head.inputs) {
      feeds[name] = {
        datatype,
        shape,
        data:
          binarySize === undefined
            ? tensorData(datatype, shape, data, `${path}.data`)
            : dataFromBytes(datatype, shape, behind.take(binarySize, path), path),
      }
    }
    behind.end()
    return { head, feeds }
  }

  #rememberedHeadOf(json: Buffer): InferHead {
    if (json.length > MAX_REMEMBERED_BYTES) return this.#headOf(json)
    const text = json.toString('latin1')
    const known = this.#remembered.get(text)
    if (known !== undefined) return known
    const head = this.#headOf(json)
    // An id is another one each time.
    if (head.id === undefined && head.inputs.every(({ binarySize }) => binarySize !== undefined)) {
      const [oldest] = this.#remembered.keys()
      if (oldest !== undefined && this.#remembered.size >= MAX_REMEMBERED) this.#remembered.delete(oldest)
      this.#remembered.set(text, head)
    }
    return head
  }

  #headOf(json: Buffer): InferHead {
    const { value, members } = this.#parse(json)
    const head = this.#heads.read(value)
    if (members !== membersOfRequest(value)) refuseRepeated(json)
    return head
  }
}
