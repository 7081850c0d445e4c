/** The program of the model's thread: opens the model, says what it is, and computes what it is asked. */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { ModelError } from '../../model/model-error.ts'
import { loadModel, type LoadedModel } from '../../model/session.ts'
import type { FromThread, ThreadOptions, ToThread } from './thread-messages.ts'
import { warmUpModel } from './warm-up.ts'

const { path, warmUpRuns, runtime } = workerData as ThreadOptions

function say(message: FromThread): void {
  parentPort?.postMessage(message)
}

function answer(model: LoadedModel, { id, feeds, outputs }: ToThread): void {
  try {
    say({ kind: 'ran', id, outputs: model.run(feeds, outputs) })
  } catch (error) {
    say({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) })
  }
}

/** Where threads share a core, the one that answers probes goes first; this one takes all that is left. */
const NICENESS = 10

try {
  // On Linux that is of this thread alone.
  if (process.platform === 'linux') setPriority(0, NICENESS)
  const startedAt = performance.now()
  const model = await loadModel({ path, ...runtime })
  const loadMs = performance.now() - startedAt
  const { sha256, sizeBytes, contract, signature, notes } = model
  const warmth = warmUpModel(model, warmUpRuns)
  parentPort?.on('message', (question: ToThread) => answer(model, question))
  say({ kind: 'opened', opened: { facts: { sha256, sizeBytes, contract, signature, notes }, warmth, loadMs } })
} catch (error) {
  if (!(error instanceof ModelError)) throw error
  say({ kind: 'refused', reason: error.reason, message: error.message })
}
