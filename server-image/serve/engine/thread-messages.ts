/** What the thread that answers HTTP and the one that computes say to each other. */
import type { ResolveFailureReason } from '../../../protocol/resolve.ts'
import type { RunOptions } from '../../model/run-options.ts'
import type { Tensors } from '../../model/tensor.ts'
import type { OpenedModel } from './opened-model.ts'

export interface ThreadOptions {
  readonly path: string
  readonly warmUpRuns: number
  readonly runtime: RunOptions
}

export type Opened = Pick<OpenedModel, 'facts' | 'warmth' | 'loadMs'>

export interface ToThread {
  readonly id: number
  readonly feeds: Tensors
  readonly outputs?: readonly string[]
}

export type FromThread =
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'refused'; readonly reason: ResolveFailureReason; readonly message: string }
  | { readonly kind: 'ran'; readonly id: number; readonly outputs: Tensors }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
