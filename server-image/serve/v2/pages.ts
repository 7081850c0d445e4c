/** What the Open Inference Protocol V2 lets clients ask about the server and its one model. */
import type { RequestHandler } from 'express'
import { notLoaded } from '../api-error.ts'
import { answerJson, type PageRoute } from '../http/app.ts'
import type { ServedModel } from '../served-model.ts'
import type { ServingState } from '../serving-state.ts'
import { modelPaths, V1_MODELS, v1ModelPath } from './paths.ts'

export interface V2PagesOptions {
  readonly modelName: string
  readonly modelVersion: string
  /** Of the server program. */
  readonly serverVersion: string
  readonly revision: string
  readonly state: ServingState
}

export function v2PagesOf(options: V2PagesOptions): PageRoute[] {
  const { state, serverVersion } = options
  const statusOfReady = () => (state.isReady ? 200 : 503)
  const ready: RequestHandler = answerJson(() => ({ ready: state.isReady }), statusOfReady)
  const metadata: RequestHandler = (_request, response) => {
    if (state.model === undefined) throw notLoaded()
    response.json(metadataOf(state.model, options))
  }
  return [
    {
      path: '/v2',
      summary: 'V2: the server',
      answer: answerJson(() => ({ name: 'penstock', version: serverVersion, extensions: ['binary_tensor_data'] })),
    },
    {
      path: V1_MODELS,
      summary: 'KServe V1: the models, of which there is one',
      answer: answerJson(() => ({ models: [options.modelName] })),
    },
    {
      path: v1ModelPath(options.modelName),
      summary: 'KServe V1: whether the model is ready',
      answer: answerJson(() => ({ name: options.modelName, ready: state.isReady }), statusOfReady),
    },
    { path: '/v2/health/live', summary: 'V2: whether the server lives', answer: answerJson(() => ({ live: true })) },
    { path: '/v2/health/ready', summary: 'V2: whether the server is ready', answer: ready },
    ...modelPaths(options).flatMap((path) => [
      { path, summary: "V2: the model's inputs and outputs", answer: metadata },
      { path: `${path}/ready`, summary: 'V2: whether the model is ready', answer: ready },
    ]),
  ]
}

function metadataOf(
  { contract, signature, sha256 }: ServedModel,
  { modelName, modelVersion, revision }: V2PagesOptions,
) {
  const rows = signature.kind === 'tabular' && {
    features: signature.features,
    ...(signature.classLabels !== undefined && { classes: signature.classLabels }),
  }
  return {
    name: modelName,
    versions: [modelVersion],
    platform: 'onnxruntime_onnx',
    inputs: contract.inputs,
    outputs: contract.outputs,
    parameters: { revision, sha256, ...rows },
  }
}
