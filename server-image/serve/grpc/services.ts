/** The services that the gRPC port has: inference, health and reflection. */
import { performance } from 'node:perf_hooks'
import type { ConnectError } from '@connectrpc/connect'
import { Code, createConnectRouter, type ConnectRouter, type HandlerContext } from '@connectrpc/connect'
import { isOk } from '../answer.ts'
import { ApiError } from '../api-error.ts'
import type { InferenceService } from '../inference-service.ts'
import type { InferenceRoute } from '../inference.ts'
import type { ServingState } from '../serving-state.ts'
import { inferRoute } from '../v2/infer-route.ts'
import { modelPaths } from '../v2/paths.ts'
import { MAX_QUESTION_BYTES } from './counted-body.ts'
import { failureOf, failureOfError, refusal } from './failure.ts'
import { Health, HealthCheckResponse_ServingStatus as Status } from './generated/grpc/health/v1/health_pb.js'
import { ServerReflection } from './generated/grpc/reflection/v1/reflection_pb.js'
import { ServerReflection as ServerReflectionAlpha } from './generated/grpc/reflection/v1alpha/reflection_pb.js'
import { GRPCInferenceService, type ModelInferRequest } from './generated/open_inference_pb.js'
import { requestOf, responseOf } from './infer-message.ts'
import { reflectionOf } from './reflection.ts'

export interface GrpcServicesOptions {
  readonly modelName: string
  readonly modelVersion: string
  /** Of the server program. */
  readonly serverVersion: string
  /** Rows that one request may have. */
  readonly maxInstances: number
  /** Of a message. */
  readonly maxBodyBytes: number
  readonly state: ServingState
  readonly service: InferenceService
}

/** How often somebody who watches is told of a change, at the latest. */
const LOOK_EVERY_MS = 500
const SERVICES = [GRPCInferenceService, Health, ServerReflection, ServerReflectionAlpha]

export function grpcServices(options: GrpcServicesOptions): ConnectRouter {
  const router = createConnectRouter({
    grpc: true,
    grpcWeb: false,
    connect: false,
    readMaxBytes: MAX_QUESTION_BYTES,
    writeMaxBytes: 0xffffffff,
    // Law: no bytes but those that were counted. A few compressed ones could become millions of objects.
    acceptCompression: [],
    // Small answers are not worth it, and large ones are numbers.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  })
  addInference(router, options)
  addHealth(router, options)
  const serverReflectionInfo = reflectionOf(SERVICES)
  router.service(ServerReflection, { serverReflectionInfo })
  router.service(ServerReflectionAlpha, { serverReflectionInfo })
  return router
}

function addInference(router: ConnectRouter, options: GrpcServicesOptions): void {
  const { modelName, modelVersion, serverVersion, state } = options
  const isOurs = (name: string, version: string) => name === modelName && (version === '' || version === modelVersion)
  const { method } = GRPCInferenceService
  const { maxBodyBytes: readMaxBytes } = options
  router.service(GRPCInferenceService, {
    serverLive: () => ({ live: true }),
    serverReady: () => ({ ready: state.isReady }),
    modelReady: ({ name, version }) => ({ ready: state.isReady && isOurs(name, version) }),
    serverMetadata: () => ({ name: 'penstock', version: serverVersion, extensions: [] }),
    modelMetadata({ name, version }) {
      if (!isOurs(name, version)) throw unknownModel(options, name, version)
      if (state.model === undefined) {
        throw refusal('The model is not loaded yet; try again in a moment.', Code.Unavailable)
      }
      const { inputs, outputs } = state.model.contract
      const described = (tensors: typeof inputs) =>
        tensors.map(({ name: tensor, datatype, shape }) => ({ name: tensor, datatype, shape: shape.map(BigInt) }))
      return {
        name: modelName,
        versions: [modelVersion],
        platform: 'onnxruntime_onnx',
        inputs: described(inputs),
        outputs: described(outputs),
      }
    },
  })
  router.rpc(method.modelInfer, inferring(options, isOurs), { readMaxBytes })
}

type IsOurs = (name: string, version: string) => boolean

function inferring(options: GrpcServicesOptions, isOurs: IsOurs) {
  const { service } = options
  const [path, versionPath] = modelPaths(options)
  const route: InferenceRoute = { ...inferRoute(options), endpoint: 'grpc_infer' }
  const pinned: InferenceRoute = { ...route, isPinned: true }
  return async (message: ModelInferRequest, context: HandlerContext) => {
    const receivedAt = performance.now()
    const { modelName, modelVersion, rawInputContents } = message
    if (!isOurs(modelName, modelVersion)) throw unknownModel(options, modelName, modelVersion)
    const isPinned = modelVersion !== ''
    let request
    try {
      request = requestOf(message, {
        path: `${isPinned ? versionPath : path}/infer`,
        metadata: context.requestHeader,
        timeoutMs: context.timeoutMs(),
        receivedAt,
      })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      service.refusal(route, error, { headers: {}, receivedAt })
      throw failureOfError(error)
    }
    const answer = await service.answer(isPinned ? pinned : route, request)
    for (let at = 0; at < answer.headers.length; at += 2) {
      const name = answer.headers[at] ?? ''
      if (name.startsWith('x-') || name === 'retry-after')
        context.responseHeader.set(name, answer.headers[at + 1] ?? '')
    }
    if (!isOk(answer)) throw failureOf(answer)
    return responseOf(answer, rawInputContents.length > 0)
  }
}

function unknownModel({ modelName, modelVersion }: GrpcServicesOptions, name: string, version: string): ConnectError {
  const asked = `${name.slice(0, 80)}${version === '' ? '' : `, version ${version.slice(0, 80)}`}`
  return refusal(`There is no model ${asked}; this server has ${modelName}, version ${modelVersion}.`, Code.NotFound)
}

function addHealth(router: ConnectRouter, { state }: GrpcServicesOptions): void {
  const known = new Set(['', ...SERVICES.map(({ typeName }) => typeName)])
  const status = () => (state.isReady ? Status.SERVING : Status.NOT_SERVING)
  router.service(Health, {
    check({ service }) {
      if (!known.has(service)) throw refusal(`There is no service ${service.slice(0, 80)}.`, Code.NotFound)
      return { status: status() }
    },
    async *watch({ service }, { signal }) {
      let told: Status | undefined
      for (;;) {
        const now = known.has(service) ? status() : Status.SERVICE_UNKNOWN
        if (now !== told) yield { status: now }
        told = now
        // Who watches must let go for the server to leave.
        if (signal.aborted || state.isDraining) return
        await pause(LOOK_EVERY_MS, signal)
      }
    },
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
