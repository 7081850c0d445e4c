/**
 * Where a model computes: on the thread that answers HTTP while that is quicker than asking another one, else on a thread of its own,
 * so that health checks and metrics are answered whatever the model does.
 */
import { stat } from 'node:fs/promises'
import { readModel } from '../../model/prepare.ts'
import { loadModel } from '../../model/session.ts'
import { startModelThread } from './model-thread.ts'
import type { OpenedModel, OpenOptions } from './opened-model.ts'
import { warmUpModel } from './warm-up.ts'

/** A run that takes so long would hold up a probe; asking another thread costs about a tenth of a millisecond. */
const HEAVY_RUN_MS = 2
/** Larger files are opened on the other thread at once, as memory of a session is not given back. */
const LARGE_FILE_BYTES = 32 * 1024 * 1024

/** @throws ModelError */
export async function openModel(options: OpenOptions): Promise<OpenedModel> {
  const { path, runtime, thread } = options
  if (thread === 'always' || (thread === 'auto' && (await isLarge(path)))) return startModelThread(options)
  const startedAt = performance.now()
  const read = await readModel({ path })
  // Nobody takes data out of a small model.
  if (thread === 'auto' && read.summary.externalTensors.length > 0) return startModelThread(options)
  const model = await loadModel({ path, ...runtime }, read)
  const loadMs = performance.now() - startedAt
  const warmth = warmUpModel(model, options.warmUpRuns)
  if (thread === 'auto' && (warmth.runMs ?? 0) >= HEAVY_RUN_MS) {
    model.dispose()
    return startModelThread(options)
  }
  return { facts: model, warmth, engine: model, loadMs, isOnThread: false, close: () => Promise.resolve() }
}

/** A file that cannot be looked at is left to the loading, which says why. */
async function isLarge(path: string): Promise<boolean> {
  return stat(path).then(
    ({ size }) => size >= LARGE_FILE_BYTES,
    () => false,
  )
}
