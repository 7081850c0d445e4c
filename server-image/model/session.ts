/**
 * A loaded model: ONNX Runtime behind tensors of the Open Inference Protocol.
 *
 * The native binding is called directly, as its `run` is synchronous anyway: the public API wraps it in a setImmediate and
 * a promise, which costs each batch a turn of the event loop. One process loads one model, once: ONNX Runtime does not give
 * all memory of a session back (microsoft/onnxruntime#25325).
 */
import { isMainThread } from 'node:worker_threads'
import { binding } from 'onnxruntime-node/dist/binding.js'
import type { ModelContract } from '../../protocol/resolve.ts'
import { ModelError, oneLine, quoted } from './model-error.ts'
import { identityOf, release } from './model-file.ts'
import { prepareModel, readModel, type PreparedModel, type PrepareOptions, type ReadModel } from './prepare.ts'
import type { RunOptions } from './run-options.ts'
import type { Signature } from './signature.ts'
import {
  datatypeOfRuntime,
  runtimeTypeOf,
  type Datatype,
  type Tensor,
  type TensorData,
  type Tensors,
} from './tensor.ts'

export interface LoadOptions extends PrepareOptions, RunOptions {}

export interface LoadedModel {
  /** Hex, of the file as it is on disk. */
  readonly sha256: string
  readonly sizeBytes: number
  readonly contract: ModelContract
  readonly signature: Signature
  /** What loading changed, one line each: to be logged. */
  readonly notes: readonly string[]
  /**
   * Computes the outputs (all, unless some are named). Blocks the thread until it is done.
   * @throws Error with ONNX Runtime's explanation when the feeds do not fit the model, or an operator fails on them.
   */
  run(feeds: Tensors, outputs?: readonly string[]): Tensors
  dispose(): void
}

type NativeSession = InstanceType<typeof binding.InferenceSession>
type NativeOptions = Parameters<NativeSession['loadModel']>[3]
type NativeFeeds = Parameters<NativeSession['run']>[0]
type NativeTensorConstructor = Parameters<typeof binding.initOrtOnce>[1]

/** What the binding makes of each output. Bare, as the checks of the public Tensor class would cost more than a small model. */
class NativeTensor {
  readonly type: string
  readonly data: TensorData
  readonly dims: readonly number[]

  constructor(type: string, data: TensorData, dims: readonly number[]) {
    this.type = type
    this.data = data
    this.dims = dims
  }
}

/** Every error is thrown as well, so a log line for each would only repeat it, once for each failing request. */
const LOG_FATAL_ONLY = 4

/** Only the first call in a process counts. */
function initializeRuntime(): void {
  binding.initOrtOnce(LOG_FATAL_ONLY, NativeTensor as unknown as NativeTensorConstructor, isMainThread)
}

/**
 * @param read the file, if it was read already; its bytes are given back
 * @throws ModelError only.
 */
export async function loadModel(options: LoadOptions, read?: ReadModel): Promise<LoadedModel> {
  const file = read ?? (await readModel(options))
  const prepared = await prepareModel(options, file)
  const isWholeFile = prepared.bytes === file.bytes && prepared.externalFiles.length === 0
  if (isWholeFile && file.bytes.length >= LARGE_BYTES) return loadFile(options, prepared, file)
  if (prepared.bytes !== file.bytes) release(file.bytes)
  const model = openSession(prepared, options)
  for (const { bytes } of [file, prepared, ...prepared.externalFiles]) release(bytes)
  return model
}

/** From here on a file is rather read twice than held beside what ONNX Runtime makes of it, which is twice its size for a moment. */
const LARGE_BYTES = 32 * 1024 * 1024

/** Law: what is loaded is what was hashed and looked at. It is given to ONNX Runtime by its path only if it names no other files. */
async function loadFile(options: LoadOptions, prepared: PreparedModel, file: ReadModel): Promise<LoadedModel> {
  const { path } = options
  const isTheSame = async () => (await identityOf(path)) === file.identity
  release(file.bytes)
  if (await isTheSame()) {
    const model = openSession(prepared, options, path)
    if (await isTheSame()) return model
    model.dispose()
  }
  throw new ModelError(
    'Interrupted',
    `${quoted(path)} changed while it was loaded; something else writes to it. Try again.`,
  )
}

/**
 * ONNX Runtime copies what it needs of the bytes.
 * @param path of a file that holds just these bytes, to be read in their place
 */
export function openSession(prepared: PreparedModel, run: RunOptions = {}, path?: string): LoadedModel {
  const session = createNativeSession(prepared, run, path)
  const allOutputs = prepared.contract.outputs.map(({ name }) => name)
  const knownOutputs = new Set(allOutputs)
  let isDisposed = false
  return {
    sha256: prepared.sha256,
    sizeBytes: prepared.sizeBytes,
    contract: prepared.contract,
    signature: prepared.signature,
    notes: prepared.notes,
    run(feeds, outputs = allOutputs) {
      const unknown = outputs.find((name) => !knownOutputs.has(name))
      if (unknown !== undefined) throw new Error(`The model has no output ${quoted(unknown)}.`)
      return runNative(session, feeds, outputs)
    },
    dispose() {
      if (isDisposed) return
      isDisposed = true
      session.dispose()
    },
  }
}

const OWN_CHOICE = 0

function createNativeSession(prepared: PreparedModel, run: RunOptions, path?: string): NativeSession {
  const { bytes, externalFiles } = prepared
  const { executionMode = 'sequential' } = run
  const options: NativeOptions = {
    intraOpNumThreads: run.intraOpThreads ?? 1,
    interOpNumThreads: run.interOpThreads ?? (executionMode === 'parallel' ? OWN_CHOICE : 1),
    executionMode,
    graphOptimizationLevel: 'all',
    logSeverityLevel: LOG_FATAL_ONLY,
    externalData: externalFiles.map((file) => ({ path: file.location, data: file.bytes })),
    // Threads that spin while they wait starve their neighbours in a pod with a CPU limit.
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  }
  try {
    initializeRuntime()
    const session = new binding.InferenceSession()
    if (path === undefined) session.loadModel(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength, options)
    else session.loadModel(path, options)
    return session
  } catch (error) {
    throw new ModelError(
      'InvalidModel',
      `ONNX Runtime cannot load the model: ${runtimeMessage(error)}. Check it with onnx.checker and export it again.`,
      {
        cause: error,
      },
    )
  }
}

function runNative(session: NativeSession, feeds: Tensors, outputs: readonly string[]): Tensors {
  const nativeFeeds: Record<string, unknown> = {}
  for (const [name, { datatype, shape, data }] of Object.entries(feeds)) {
    nativeFeeds[name] = { type: runtimeTypeOf(datatype), dims: shape, data: toNativeData(data), location: 'cpu' }
  }
  const fetches = Object.fromEntries(outputs.map((name) => [name, null]))
  let results: Readonly<Record<string, NativeTensor>>
  try {
    results = session.run(nativeFeeds as NativeFeeds, fetches, {})
  } catch (error) {
    throw new Error(runtimeMessage(error), { cause: error })
  }
  return Object.fromEntries(outputs.map((name) => [name, toTensor(name, results[name])]))
}

function toTensor(name: string, value: NativeTensor | undefined): Tensor {
  const datatype = value === undefined ? undefined : datatypeOfRuntime(value.type)
  if (value === undefined || datatype === undefined) {
    throw new Error(`ONNX Runtime returned no usable tensor for output ${name}.`)
  }
  return { datatype, shape: value.dims, data: fromNativeData(datatype, value.data) }
}

/** The binding knows no Float16Array (Node-API has none yet): such numbers cross as their bits. */
function toNativeData(data: TensorData): TensorData {
  return data instanceof Float16Array ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
}

function fromNativeData(datatype: Datatype, data: TensorData): TensorData {
  if (datatype !== 'FP16' || Array.isArray(data)) return data
  return new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
}

/** ONNX Runtime's own words, without the source file and the C++ signature that it puts before them. */
export function runtimeMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const withoutOrigin = text.replace(/\/onnxruntime_src\/\S+:\d+ .*\)(?: const)? (?=[A-Z[])/s, '')
  return oneLine(withoutOrigin, 400).replace(/[.:\s]+$/, '')
}
