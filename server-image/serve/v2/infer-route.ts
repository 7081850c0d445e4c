/** `POST /v2/models/{name}[/versions/{version}]/infer` of the Open Inference Protocol, with tensors in JSON or as bytes behind it. */
import type { Tensors } from '../../model/tensor.ts'
import { v2ErrorBody } from '../api-error.ts'
import type { AnswerBody, InferenceRoute } from '../inference.ts'
import { checkJsonType } from '../json/content-type.ts'
import { parseJson, parseJsonExactly } from '../json/json-body.ts'
import { timeoutIn } from '../timeout.ts'
import { HEADER_LENGTH, bytesOfTensor, splitBody } from './binary-data.ts'
import { readInferRequest, type InferRequest } from './infer-request.ts'
import { dataJson } from './tensor-data.ts'

/** Datatypes with values that a double cannot hold. */
const LONG_INTEGERS: ReadonlySet<string> = new Set(['INT64', 'UINT64'])

export interface InferRouteOptions {
  readonly modelName: string
  readonly modelVersion: string
  /** Rows that one request may have. */
  readonly maxInstances: number
}

export function inferRoute({ modelName, modelVersion, maxInstances }: InferRouteOptions): InferenceRoute {
  const model = `"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`
  return {
    endpoint: 'v2_infer',
    wording: v2ErrorBody,
    async answer({ headers, body }, served, answerId) {
      const timeoutMs = timeoutIn(headers)
      const { json, binary } = splitBody(headers, body)
      if (binary === undefined) checkJsonType(headers)
      const parse = served.contract.inputs.some(({ datatype }) => LONG_INTEGERS.has(datatype))
        ? parseJsonExactly
        : parseJson
      const request = readInferRequest(parse(json), binary, served.contract, {
        maxRows: maxInstances,
        sameRows: served.signature.kind === 'tabular',
      })
      const outputs = await served.infer(request, answerId, Math.min(timeoutMs, request.timeoutMs))
      return answerBody(model, request, outputs)
    },
  }
}

function answerBody(model: string, { id, outputs, binaryOutputs }: InferRequest, tensors: Tensors): AnswerBody {
  const behind: Buffer[] = []
  const parts = outputs.map((name) => {
    const tensor = tensors[name] as Tensors[string]
    const head = `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join()}]`
    if (!binaryOutputs.has(name)) return `${head},"data":${dataJson(name, tensor)}}`
    const bytes = bytesOfTensor(tensor)
    behind.push(bytes)
    return `${head},"parameters":{"binary_data_size":${bytes.length}}}`
  })
  const json = `{${model},${id === undefined ? '' : `"id":${JSON.stringify(id)},`}"outputs":[${parts.join()}]}`
  if (behind.length === 0) return json
  const head = Buffer.from(json, 'utf8')
  const headers = ['content-type', 'application/octet-stream', HEADER_LENGTH, String(head.length)]
  return { headers, bytes: Buffer.concat([head, ...behind]) }
}
