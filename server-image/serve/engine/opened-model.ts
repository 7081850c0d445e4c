/** What opening a model takes and gives, wherever it computes. */
import type { RunOptions } from '../../model/run-options.ts'
import type { LoadedModel } from '../../model/session.ts'
import type { Engine } from './engine.ts'
import type { WarmUpReport } from './warm-up.ts'

/** What is known of a loaded model, wherever it computes. */
export type ModelFacts = Pick<LoadedModel, 'sha256' | 'sizeBytes' | 'contract' | 'signature' | 'notes'>

export interface OpenedModel {
  readonly facts: ModelFacts
  readonly warmth: WarmUpReport
  readonly engine: Engine
  readonly loadMs: number
  /** True when it computes on a thread of its own. */
  readonly isOnThread: boolean
  /** Resolves when the computing thread has ended. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly path: string
  readonly warmUpRuns: number
  readonly runtime: RunOptions
  /** Where the model computes; `auto` decides by its size and by how long it takes. */
  readonly thread: ThreadChoice
  /** What one run on a thread of its own may take, in milliseconds, before the model is given up. */
  readonly runLimitMs: number
  /** Told when the model's thread ends by itself, or never ends a run: it will answer nothing more, and may not be ended. */
  readonly onLost: (error: Error) => void
}

export const THREAD_CHOICES = ['auto', 'always', 'never'] as const
export type ThreadChoice = (typeof THREAD_CHOICES)[number]
