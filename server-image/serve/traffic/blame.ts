/** Whose fault it is that a peer's answer is none. The relay and the shadow judge alike. */
import { isOk, type Answer } from '../answer.ts'
import { MAX_ANSWER_BYTES, type PeerFailure } from './peer.ts'

export interface FailedOutcome {
  readonly kind: 'failed'
  readonly why: string
  /** What it failed by: a bad answer, or none for one of the reasons that `PeerFailure` has. */
  readonly by: 'answer' | PeerFailure['by']
  /** The time that it had. */
  readonly budgetMs: number
}

/** So many times less than the limit we must need ourselves, for a peer that exceeds it to be blamed. */
const CLEARLY_LESS = 3

/**
 * Law: a request that we refuse as well, or that takes us nearly as much, says nothing against the peer; nor does one that we did
 * not let it answer.
 */
export function blameOf(failed: FailedOutcome, own: Answer): 'error' | 'rejected' {
  if (!isOk(own)) return 'rejected'
  switch (failed.by) {
    case 'answer':
    case 'connection':
      return 'error'
    case 'time':
      return own.durationMs * CLEARLY_LESS > failed.budgetMs ? 'rejected' : 'error'
    case 'size':
      return Buffer.byteLength(own.body) * CLEARLY_LESS > MAX_ANSWER_BYTES ? 'rejected' : 'error'
    case 'room':
      return 'rejected'
    default:
      return failed.by satisfies never
  }
}
