/** `POST /v2/models/{name}[/versions/{version}]/infer` of the Open Inference Protocol, with tensors in JSON. */
import type { Tensors } from '../../model/tensor.ts'
import type { ApiError } from '../api-error.ts'
import type { InferenceRoute } from '../inference.ts'
import { checkJsonType } from '../json/content-type.ts'
import { parseJsonExactly } from '../json/json-body.ts'
import { readInferRequest, type InferRequest } from './infer-request.ts'
import { dataJson } from './tensor-data.ts'

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
      checkJsonType(headers)
      const request = readInferRequest(parseJsonExactly(body), served.contract, maxInstances)
      const outputs = await served.infer(request, answerId)
      return answerBody(model, request, outputs)
    },
  }
}

function answerBody(model: string, { id, outputs }: InferRequest, tensors: Tensors): string {
  const parts = outputs.map((name) => {
    const tensor = tensors[name] as Tensors[string]
    const { datatype, shape } = tensor
    return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join()}],"data":${dataJson(name, tensor)}}`
  })
  return `{${model},${id === undefined ? '' : `"id":${JSON.stringify(id)},`}"outputs":[${parts.join()}]}`
}

/** The protocol wants `error` to be a string; code and field stand beside it for those who look. */
function v2ErrorBody({ code, message, details: { field } }: ApiError): string {
  return JSON.stringify({ error: message, code, ...(field !== undefined && { field }) })
}
