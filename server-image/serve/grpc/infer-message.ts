/**
 * ModelInfer in the words of the REST protocol, and its answer back again. So one way of checking, one split of the traffic, one breaker and
 * one evidence serve both: what is relayed to another revision is the binary tensor data extension, whoever asked how.
 */
import { create } from '@bufbuild/protobuf'
import type { Datatype } from '../../model/tensor.ts'
import { ApiError } from '../api-error.ts'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { HEADER_LENGTH } from '../v2/binary-data.ts'
import { bytesOfContents, contentsOfBytes } from './contents.ts'
import {
  ModelInferResponseSchema,
  ModelInferResponse_InferOutputTensorSchema,
  type InferParameter,
  type ModelInferRequest,
  type ModelInferRequest_InferInputTensor,
  type ModelInferResponse,
} from './generated/open_inference_pb.js'

export interface AskedAs {
  /** Of the REST route. */
  readonly path: string
  /** Metadata of the call. */
  readonly metadata: Headers
  /** How long the client waits; undefined when it does not say. */
  readonly timeoutMs: number | undefined
  /** `performance.now()` when the message was complete. */
  readonly receivedAt: number
}

/** @throws ApiError that names the field */
export function requestOf(
  message: ModelInferRequest,
  { path, metadata, timeoutMs, receivedAt }: AskedAs,
): InferenceRequest {
  const inputs = message.inputs.map((input, index) => ({ input, bytes: bytesOf(message, input, index) }))
  const head = Buffer.from(
    JSON.stringify({
      ...(message.id !== '' && { id: message.id }),
      parameters: { ...plain(message.parameters), binary_data_output: true },
      inputs: inputs.map(({ input: { name, datatype, shape }, bytes }) => ({
        name,
        datatype,
        shape: shape.map(Number),
        parameters: { binary_data_size: bytes.length },
      })),
      ...(message.outputs.length > 0 && { outputs: message.outputs.map(({ name }) => ({ name })) }),
    }),
  )
  const rawHeaders: string[] = ['content-type', 'application/octet-stream', HEADER_LENGTH, String(head.length)]
  for (const [name, value] of metadata) if (!isOfTheCall(name)) rawHeaders.push(name, value)
  if (timeoutMs !== undefined)
    rawHeaders.push('timeout', `${Math.max(1, Math.round(Math.min(timeoutMs, MAX_TIMEOUT_MS) * 1000))}us`)
  const headers: Record<string, string> = {}
  for (let at = 0; at < rawHeaders.length; at += 2) headers[rawHeaders[at] ?? ''] = rawHeaders[at + 1] ?? ''
  return {
    url: path,
    headers,
    rawHeaders,
    body: Buffer.concat([head, ...inputs.map(({ bytes }) => bytes)]),
    receivedAt,
  }
}

/** A client may wait for years, but no request lasts so long. */
const MAX_TIMEOUT_MS = 24 * 3_600_000

/** Metadata that speaks of this call alone, or that is written anew. */
const OF_THE_CALL = new Set(['content-type', 'content-length', 'te', 'timeout', HEADER_LENGTH])

function isOfTheCall(name: string): boolean {
  return OF_THE_CALL.has(name) || name.startsWith('grpc-') || name.startsWith(':')
}

function bytesOf(message: ModelInferRequest, input: ModelInferRequest_InferInputTensor, index: number): Uint8Array {
  const { inputs, rawInputContents } = message
  const path = `inputs[${index}]`
  if (rawInputContents.length === 0) {
    return bytesOfContents({ datatype: input.datatype, shape: input.shape.map(Number), contents: input.contents, path })
  }
  if (rawInputContents.length !== inputs.length) {
    const problem = `raw_input_contents must have one element for each of the ${inputs.length} inputs, got ${rawInputContents.length}.`
    throw new ApiError('invalid_request', problem, { field: 'raw_input_contents' })
  }
  if (input.contents !== undefined) {
    const problem = `${path} has contents beside raw_input_contents; send one of them.`
    throw new ApiError('invalid_request', problem, { field: `${path}.contents` })
  }
  return rawInputContents[index] ?? new Uint8Array()
}

function plain(parameters: Readonly<Record<string, InferParameter>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(
      ([
        name,
        {
          parameterChoice: { value },
        },
      ]) => [name, typeof value === 'bigint' ? Number(value) : value],
    ),
  )
}

interface OutputJson {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly parameters: { readonly binary_data_size: number }
}

interface ResponseJson {
  readonly model_name: string
  readonly model_version: string
  readonly id?: string
  readonly outputs: readonly OutputJson[]
}

/**
 * @param answer a 200 to a request of `requestOf`
 * @param asRaw whether elements are to be bytes, as the client sent them; else typed contents
 */
export function responseOf(answer: Answer, asRaw: boolean): ModelInferResponse {
  const body = Buffer.from(answer.body as Buffer)
  const headLength = Number(headerOf(answer, HEADER_LENGTH))
  const json = JSON.parse(body.toString('utf8', 0, headLength)) as ResponseJson
  const response = create(ModelInferResponseSchema, {
    modelName: json.model_name,
    modelVersion: json.model_version,
    id: json.id ?? '',
  })
  // Law of the protocol: either all outputs are raw, or none.
  const isRaw = asRaw || json.outputs.some(({ datatype }) => datatype === 'FP16')
  let at = headLength
  for (const { name, datatype, shape, parameters } of json.outputs) {
    const bytes = body.subarray(at, (at += parameters.binary_data_size))
    const output = create(ModelInferResponse_InferOutputTensorSchema, { name, datatype, shape: shape.map(BigInt) })
    const contents = isRaw ? undefined : contentsOfBytes(datatype as Datatype, shape, bytes)
    if (contents === undefined) response.rawOutputContents.push(bytes)
    else output.contents = contents
    response.outputs.push(output)
  }
  return response
}

export function headerOf({ headers }: Answer, wanted: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) if (headers[at]?.toLowerCase() === wanted) return headers[at + 1]
  return undefined
}
