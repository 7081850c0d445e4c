/** A model on a thread of its own, asked by messages. Runs are computed in the order in which they were asked for. */
import { Worker } from 'node:worker_threads'
import { ModelError } from '../../model/model-error.ts'
import type { Tensors } from '../../model/tensor.ts'
import type { Engine } from './engine.ts'
import type { OpenedModel, OpenOptions } from './opened-model.ts'
import type { FromThread, Opened, ThreadOptions, ToThread } from './thread-messages.ts'

/** The thread's program: beside this file in the sources, and beside the bundle in an image. */
const PROGRAM = new URL(import.meta.url.endsWith('.ts') ? './thread-main.ts' : './model-thread.mjs', import.meta.url)

/** @throws ModelError when the model cannot be opened */
export async function startModelThread(options: OpenOptions): Promise<OpenedModel> {
  const { path, warmUpRuns, runtime } = options
  const workerData: ThreadOptions = { path, warmUpRuns, runtime }
  const worker = new Worker(PROGRAM, { name: 'model', workerData })
  const engine = new ThreadEngine(worker, options)
  const { facts, warmth, loadMs } = await engine.opened
  return { facts, warmth, loadMs, engine, isOnThread: true, close: () => engine.close() }
}

/** Runs that take too long are noticed with this delay. */
const LOOK_EVERY_MS = 1_000

interface Waiting {
  readonly resolve: (outputs: Tensors) => void
  readonly reject: (error: Error) => void
}

class ThreadEngine implements Engine {
  readonly opened: Promise<Opened>
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #closing = false
  #lost: Error | undefined
  /** When the run that is computed now began, at the earliest. */
  #runSince = 0

  constructor(worker: Worker, { onLost, runLimitMs }: Pick<OpenOptions, 'onLost' | 'runLimitMs'>) {
    this.#worker = worker
    const { promise, resolve, reject } = Promise.withResolvers<Opened>()
    this.opened = promise
    let isOpen = false
    worker.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'opened':
          isOpen = true
          return resolve(message.opened)
        case 'refused':
          this.#closing = true
          return reject(new ModelError(message.reason, message.message))
        case 'ran':
          return this.#take(message.id)?.resolve(message.outputs)
        case 'failed':
          return this.#take(message.id)?.reject(new Error(message.message))
        default:
          return message satisfies never
      }
    })
    const lost = (error: Error) => {
      if (this.#lost !== undefined) return
      this.#lost = error
      for (const { reject: fail } of this.#waiting.values()) fail(error)
      this.#waiting.clear()
      if (this.#closing) return
      if (isOpen) onLost(error)
      else reject(error)
    }
    worker.on('error', (error) => lost(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', (code) => lost(new Error(`the model's thread ended with code ${code}`)))
    const watch = setInterval(() => {
      if (!this.#runsLongerThan(runLimitMs)) return
      // Its answer may wait in this very turn of the event loop, if that was held up itself.
      setImmediate(() => {
        if (!this.#runsLongerThan(runLimitMs)) return
        clearInterval(watch)
        lost(new Error(`a run of the model took longer than ${runLimitMs / 1000} s, and cannot be stopped`))
      })
    }, LOOK_EVERY_MS).unref()
    worker.on('exit', () => clearInterval(watch))
  }

  run(feeds: Tensors, outputs?: readonly string[]): Promise<Tensors> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    const id = (this.#asked += 1)
    if (this.#waiting.size === 0) this.#runSince = performance.now()
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      const question: ToThread = { id, feeds: alone(feeds), ...(outputs !== undefined && { outputs }) }
      this.#worker.postMessage(question)
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#worker.terminate()
  }

  #runsLongerThan(limitMs: number): boolean {
    return this.#waiting.size > 0 && performance.now() - this.#runSince > limitMs
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    this.#runSince = performance.now()
    return waiting
  }
}

/** Memory is copied to the other thread whole: an array that is a part of it goes alone. */
function alone(feeds: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => {
      const { data } = tensor
      const isWhole = Array.isArray(data) || data.byteLength === data.buffer.byteLength
      return [name, isWhole ? tensor : { ...tensor, data: data.slice() }]
    }),
  )
}
