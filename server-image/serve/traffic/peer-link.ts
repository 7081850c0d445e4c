/** The way to one peer revision: its connections, its breaker, and what its answers are worth. */
import { performance } from 'node:perf_hooks'
import type { PlanPeer } from '../../../protocol/plan.ts'
import { isOk } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { Breaker } from './breaker.ts'
import type { Pace } from './pace.ts'
import { Peer, PeerFailure, TooSlow, type PeerAnswer } from './peer.ts'
import type { RelayResult } from './traffic.ts'

export interface PeerLinkOptions {
  /** How long a peer may take to answer now. */
  readonly pace: Pace
  readonly onRelay: (peer: string, result: RelayResult) => void
}

export type PeerOutcome =
  | { readonly kind: 'ok'; readonly answer: PeerAnswer }
  /** Another revision answered: good enough for the user, but no evidence. */
  | { readonly kind: 'foreign'; readonly answer: PeerAnswer }
  | { readonly kind: 'failed'; readonly why: string; readonly isTooSlow?: boolean }

export class PeerLink {
  readonly breaker = new Breaker()
  readonly #peer: Peer
  readonly #to: PlanPeer
  readonly #options: PeerLinkOptions

  constructor(to: PlanPeer, options: PeerLinkOptions) {
    this.#to = to
    this.#options = options
    this.#peer = new Peer(to.address)
  }

  isTo({ revision, address }: PlanPeer): boolean {
    return this.#to.revision === revision && this.#to.address === address
  }

  count(result: RelayResult): void {
    this.#options.onRelay(this.#to.revision, result)
  }

  /** Never rejects; the breaker learns of the outcome. */
  async ask(request: InferenceRequest, planId: number): Promise<PeerOutcome> {
    let answer: PeerAnswer
    try {
      answer = await this.#peer.ask(request, planId, this.#options.pace.budgetMs)
    } catch (error) {
      this.breaker.failed(performance.now())
      const isTooSlow = error instanceof PeerFailure && error.cause instanceof TooSlow
      return { kind: 'failed', why: error instanceof Error ? error.message : String(error), isTooSlow }
    }
    this.breaker.answered()
    return this.#judge(answer)
  }

  /** A copy whose answer nobody waits for: it tells the breaker whether the peer is back. */
  probe(request: InferenceRequest, planId: number): void {
    void this.ask(request, planId)
  }

  close(): void {
    this.#peer.close()
  }

  #judge(answer: PeerAnswer): PeerOutcome {
    if (answer.revision === undefined) {
      return { kind: 'failed', why: `${answer.status} from something that is no Penstock server` }
    }
    if (answer.revision !== this.#to.revision) {
      return isSibling(answer.revision, this.#to.revision)
        ? { kind: 'foreign', answer }
        : { kind: 'failed', why: `an answer from ${answer.revision.slice(0, 64)}, another model` }
    }
    return isOk(answer) ? { kind: 'ok', answer } : { kind: 'failed', why: `${answer.status} ${reasonIn(answer)}` }
  }
}

/** A revision is named `<modeldeployment>-<10 hex digits>`. An address that was given to another model must not answer for this one. */
function isSibling(revision: string, other: string): boolean {
  return /^-[0-9a-f]{10}$/.test(revision.slice(-11)) && revision.slice(0, -11) === other.slice(0, -11)
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
