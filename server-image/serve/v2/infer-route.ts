/** `POST /v2/models/{name}[/versions/{version}]/infer` of the Open Inference Protocol, with tensors in JSON or as bytes behind it. */
import type { ModelContract } from '../../../protocol/resolve.ts'
import type { Tensors } from '../../model/tensor.ts'
import { nameAs } from '../../monitor/recent-answers.ts'
import { v2ErrorBody } from '../api-error.ts'
import type { AnswerBody, InferenceRoute } from '../inference.ts'
import { checkJsonType } from '../json/content-type.ts'
import type { ServedModel } from '../served-model.ts'
import { timeoutIn } from '../timeout.ts'
import { HEADER_LENGTH, bytesOfTensor, splitBody } from './binary-data.ts'
import type { InferHead } from './infer-head.ts'
import { InferRequestReader } from './infer-request.ts'
import { dataJson } from './tensor-data.ts'

export interface InferRouteOptions {
  readonly modelName: string
  readonly modelVersion: string
  /** Rows that one request may have. */
  readonly maxInstances: number
}

export function inferRoute({ modelName, modelVersion, maxInstances }: InferRouteOptions): InferenceRoute {
  const model = `"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`
  let latest: { readonly contract: ModelContract; readonly reader: InferRequestReader } | undefined
  const readerOf = ({ contract, signature }: ServedModel) => {
    if (latest?.contract !== contract) {
      const limits = { maxRows: maxInstances, sameRows: signature.kind === 'tabular' }
      latest = { contract, reader: new InferRequestReader(contract, limits) }
    }
    return latest.reader
  }
  return {
    endpoint: 'v2_infer',
    wording: v2ErrorBody,
    async answer({ headers, body }, served, answerId) {
      const timeoutMs = timeoutIn(headers)
      const { json, binary } = splitBody(headers, body)
      if (binary === undefined) checkJsonType(headers)
      const { head, feeds } = readerOf(served).read(json, binary)
      if (head.id !== undefined) nameAs(answerId, head.id)
      const job = { feeds, outputs: head.outputNames }
      return answerBody(model, head, await served.infer(job, answerId, Math.min(timeoutMs, head.timeoutMs)))
    },
  }
}

function answerBody(model: string, { id, outputs }: InferHead, tensors: Tensors): AnswerBody {
  const behind: Buffer[] = []
  let bytesBehind = 0
  let json = `{${model},${id === undefined ? '' : `"id":${JSON.stringify(id)},`}"outputs":[`
  for (const { name, isBinary } of outputs) {
    const tensor = tensors[name] as Tensors[string]
    if (json.endsWith('}')) json += ','
    json += `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join()}],`
    if (isBinary) {
      const bytes = bytesOfTensor(tensor)
      behind.push(bytes)
      bytesBehind += bytes.length
      json += `"parameters":{"binary_data_size":${bytes.length}}}`
    } else json += `"data":${dataJson(name, tensor)}}`
  }
  json += ']}'
  if (behind.length === 0) return json
  const jsonBytes = Buffer.byteLength(json)
  const bytes = Buffer.allocUnsafe(jsonBytes + bytesBehind)
  let at = bytes.write(json, 'utf8')
  for (const part of behind) at += part.copy(bytes, at)
  return { headers: ['content-type', 'application/octet-stream', HEADER_LENGTH, String(jsonBytes)], bytes }
}
