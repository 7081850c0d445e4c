/** The way to one peer revision: its connections, its breaker, and what its answers are worth. */
import { performance } from 'node:perf_hooks'
import type { PlanPeer } from '../../../protocol/plan.ts'
import { isOk, type Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { blameOf, type FailedOutcome } from './blame.ts'
import { Breaker } from './breaker.ts'
import type { Pace } from './pace.ts'
import type { PeerIdentity } from './peer-connections.ts'
import { Peer, PeerFailure, type PeerAnswer } from './peer.ts'
import { isOfSameModel } from './revision-name.ts'
import type { RelayResult } from './tally.ts'

export interface PeerLinkOptions {
  /** How long a peer may take to answer now. */
  readonly pace: Pace
  readonly onRelay: (peer: string, result: RelayResult) => void
  /** What this server itself speaks TLS with, if it does. */
  readonly identity?: PeerIdentity | undefined
}

export type PeerOutcome =
  | { readonly kind: 'ok'; readonly answer: PeerAnswer }
  /** Another revision answered: good enough for the user, but no evidence. */
  | { readonly kind: 'foreign'; readonly answer: PeerAnswer }
  | FailedOutcome

export class PeerLink {
  readonly breaker = new Breaker()
  readonly #peer: Peer
  readonly #to: PlanPeer
  readonly #options: PeerLinkOptions
  #isToBlame = false

  constructor(to: PlanPeer, options: PeerLinkOptions) {
    this.#to = to
    this.#options = options
    this.#peer = new Peer(to, options.identity)
  }

  isTo({ revision, address, scheme }: PlanPeer): boolean {
    return this.#to.revision === revision && this.#to.address === address && this.#to.scheme === scheme
  }

  count(result: RelayResult): void {
    this.#options.onRelay(this.#to.revision, result)
  }

  /**
   * What requests that an open breaker keeps from the peer say of it: nothing good while it is its own fault that the breaker is
   * open; nothing at all when it is only as slow as we are.
   */
  get keptAway(): 'skipped' | 'rejected' {
    return this.#isToBlame ? 'skipped' : 'rejected'
  }

  /** Never rejects; the breaker learns of the outcome. */
  ask(request: InferenceRequest): Promise<PeerOutcome> {
    return this.#ask(request, this.#options.pace.budgetMs)
  }

  /** For a copy whose answer nobody waits for. */
  askPatiently(request: InferenceRequest): Promise<PeerOutcome> {
    return this.#ask(request, this.#options.pace.patientMs)
  }

  /** @returns what this very revision answers; undefined when it cannot be asked now */
  async passOn(request: InferenceRequest): Promise<PeerAnswer | undefined> {
    if (this.breaker.state !== 'closed') return undefined
    const answer = await this.#peer.ask(request, this.#options.pace.budgetMs).catch(() => undefined)
    return answer?.revision === this.#to.revision ? answer : undefined
  }

  /** @param own our answer to the same request */
  blame(failed: FailedOutcome, own: Answer): 'error' | 'rejected' {
    const blame = blameOf(failed, own)
    if (blame === 'error' && failed.by !== 'answer') this.#isToBlame = true
    return blame
  }

  close(): void {
    this.#peer.close()
  }

  async #ask(request: InferenceRequest, budgetMs: number): Promise<PeerOutcome> {
    const { pace } = this.#options
    const askedAt = performance.now()
    let answer: PeerAnswer
    try {
      answer = await this.#peer.ask(request, budgetMs)
    } catch (error) {
      const by = error instanceof PeerFailure ? error.by : 'connection'
      // A long wait costs users as much as several short ones.
      const cost = by === 'time' ? Math.ceil(budgetMs / pace.leastMs) : 1
      if (by !== 'room') this.breaker.failed(performance.now(), cost)
      return { kind: 'failed', why: error instanceof Error ? error.message : String(error), by, budgetMs }
    }
    if (performance.now() - askedAt <= pace.budgetMs) {
      this.breaker.answered()
      this.#isToBlame = false
    }
    return this.#judge(answer, budgetMs)
  }

  #judge(answer: PeerAnswer, budgetMs: number): PeerOutcome {
    const failed = (why: string): FailedOutcome => ({ kind: 'failed', why, by: 'answer', budgetMs })
    if (answer.revision === undefined) return failed(`${answer.status} from something that is no Penstock server`)
    if (answer.revision !== this.#to.revision) {
      return isOfSameModel(answer.revision, this.#to.revision)
        ? { kind: 'foreign', answer }
        : failed(`an answer from ${answer.revision.slice(0, 64)}, another model`)
    }
    return isOk(answer) ? { kind: 'ok', answer } : failed(`${answer.status} ${reasonIn(answer)}`)
  }
}

/** An error's words are short; anything longer is none, and not worth reading. */
const MAX_ERROR_BYTES = 64 * 1024

/** The message of a JSON error, whichever route worded it. A peer is not to be trusted: whatever it says, this is a string. */
function reasonIn({ body }: PeerAnswer): string {
  if (Buffer.byteLength(body) > MAX_ERROR_BYTES) return ''
  try {
    const { error } = JSON.parse(String(body)) as { error?: unknown }
    const message = typeof error === 'string' ? error : (error as { message?: unknown } | null | undefined)?.message
    return typeof message === 'string' ? message.slice(0, 500) : ''
  } catch {
    return ''
  }
}
