/**
 * Who answers a client's request: this revision, or the peer of the traffic plan, with this revision behind it.
 *
 * Law: a user never sees a bad peer. Whatever the peer does - dead, slow, wrong, failing - this revision answers itself, as
 * inference changes nothing and can be done again. Every request is counted once, for the plan that it began under.
 */
import { performance } from 'node:perf_hooks'
import type { Answers } from '../../../protocol/evidence.ts'
import { RELAYED_HEADER } from '../../../protocol/headers.ts'
import type { PlanFile } from '../../../protocol/plan.ts'
import { isOk, type Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import type { BreakerState } from './breaker.ts'
import { Pace } from './pace.ts'
import { PeerLink, type PeerLinkOptions } from './peer-link.ts'
import type { PeerAnswer } from './peer.ts'
import { isOfSameModel } from './revision-name.ts'
import { Shadow } from './shadow.ts'
import { Split, stickyBucket } from './split.ts'
import { Tally } from './tally.ts'

export interface TrafficOptions extends Pick<PeerLinkOptions, 'onRelay' | 'identity'> {
  readonly revision: string
  /** What a peer may take to answer in any case, in milliseconds; a slow model's may take several times our own duration. */
  readonly relayTimeoutMs: number
  /** In 0..999: see `Split`. */
  readonly phase: number
}

interface PlanInForce {
  readonly file: PlanFile
  readonly own: Tally
  readonly split: Split
  readonly shadowSplit: Split
  readonly peer?: { readonly link: PeerLink; readonly tally: Tally; readonly shadow: Shadow }
}

export class Traffic {
  readonly #options: TrafficOptions
  readonly #pace: Pace
  #plan: PlanInForce
  /** True while the plan's file is gone. */
  #standsAlone = false
  #directRequests = 0
  #relayedIn = 0

  constructor(options: TrafficOptions) {
    this.#options = options
    this.#pace = new Pace(options.relayTimeoutMs)
    this.#plan = this.#begin({
      id: 0,
      revision: options.revision,
      weightPermille: 0,
      shadowPermille: 0,
      retired: false,
    })
  }

  get planId(): number {
    return this.#plan.file.id
  }

  /** True for a replaced revision: its clients are to open new connections, which reach its successor. */
  get isRetired(): boolean {
    return this.#plan.file.retired && !this.#standsAlone
  }

  get breaker(): BreakerState {
    return this.#plan.peer?.link.breaker.state ?? 'closed'
  }

  get directRequests(): number {
    return this.#directRequests
  }

  get relayedIn(): number {
    return this.#relayedIn
  }

  /** Counters of the plan in force, by revision. */
  answers(): Record<string, Answers> {
    const { file, own, peer } = this.#plan
    return {
      [file.revision]: own.toAnswers(),
      ...(file.peer !== undefined && peer !== undefined && { [file.peer.revision]: peer.tally.toAnswers() }),
    }
  }

  /**
   * Switches to a plan at once; requests that are on their way end under the old one.
   * @returns false when the plan is not newer than the one in force
   */
  follow(file: PlanFile): boolean {
    const { id } = this.#plan.file
    const isBack = this.#standsAlone && file.id === id
    if (file.id <= id && !isBack) return false
    this.#standsAlone = false
    if (isBack) return true
    const before = this.#plan.peer?.link
    this.#plan = this.#begin(file, before)
    if (before !== this.#plan.peer?.link) before?.close()
    return true
  }

  /** The plan was taken away: everything is answered here until it is back. Its id and its counters stay. */
  standAlone(): void {
    this.#standsAlone = true
  }

  /** Takes note of what one run of the model takes, in milliseconds: peers get their time by it. */
  modelRuns(runMs: number): void {
    this.#pace.runs(runMs)
  }

  close(): void {
    this.#plan.peer?.link.close()
  }

  /** For a request that asks for this very version: it counts as a direct one, but nobody else may answer it. */
  async answerPinned(
    request: InferenceRequest,
    answerOurselves: (request: InferenceRequest) => Promise<Answer>,
  ): Promise<Answer> {
    if (this.isRelayed(request)) return this.answer(request, answerOurselves)
    this.#directRequests += 1
    return this.#counted(this.#plan, await answerOurselves(request))
  }

  /**
   * Has the peer answer what only it may know; no evidence for anybody.
   * @returns its answer, whatever it says; undefined when there is no peer, or none that lives. Never rejects.
   */
  async passOn(request: InferenceRequest): Promise<PeerAnswer | undefined> {
    const { peer } = this.#plan
    return this.#standsAlone || this.isRelayed(request) ? undefined : peer?.link.passOn(request)
  }

  /**
   * @param answerOurselves computes this revision's answer; never rejects
   * @param passedOn told of an answer of the peer that the client gets
   */
  async answer(
    request: InferenceRequest,
    answerOurselves: (request: InferenceRequest) => Promise<Answer>,
    passedOn?: (answer: Answer) => void,
  ): Promise<Answer> {
    if (this.isRelayed(request)) {
      this.#relayedIn += 1
      return answerOurselves(request)
    }
    this.#directRequests += 1
    const plan = this.#plan
    if (plan.peer === undefined || this.#standsAlone) return this.#counted(plan, await answerOurselves(request))
    if (isForPeer(plan, request)) return this.#relay(plan.peer, request, answerOurselves, passedOn)
    const answer = this.#counted(plan, await answerOurselves(request))
    if (plan.shadowSplit.take()) plan.peer.shadow.copy(request, answer)
    return answer
  }

  /** Law: nothing that one of this model's pods relayed is relayed on, or two plans could send a request round and round. */
  isRelayed({ headers }: Pick<InferenceRequest, 'headers'>): boolean {
    const target = headers[RELAYED_HEADER]
    return typeof target === 'string' && isOfSameModel(target, this.#options.revision)
  }

  async #relay(
    { link, tally }: NonNullable<PlanInForce['peer']>,
    request: InferenceRequest,
    answerOurselves: (request: InferenceRequest) => Promise<Answer>,
    passedOn?: (answer: Answer) => void,
  ): Promise<Answer> {
    const inItsPlace = async () => {
      // From here on it is our own time: the peer's is not to be taken for it.
      const receivedAt = performance.now()
      const answer = await answerOurselves({ ...request, receivedAt, waitedMs: receivedAt - request.receivedAt })
      if (isOk(answer)) this.#pace.answered(answer.durationMs)
      return answer
    }
    const permission = link.breaker.ask(performance.now())
    if (permission !== 'send') {
      const probe = permission === 'skip-and-probe' ? link.askPatiently(request) : undefined
      const answer = await inItsPlace()
      const result = isOk(answer) ? link.keptAway : 'rejected'
      tally[result] += 1
      link.count(result)
      void probe?.then((outcome) => outcome.kind === 'failed' && link.blame(outcome, answer))
      return answer
    }
    const outcome = await link.ask(request)
    if (outcome.kind === 'ok') {
      const { lost, durationMs } = outcome.answer
      if (lost === undefined) tally.ok(durationMs)
      else tally.error(`${lost}; answered when it was asked again`)
      link.count(lost === undefined ? 'ok' : 'error')
      passedOn?.(outcome.answer)
      return outcome.answer
    }
    if (outcome.kind === 'foreign') {
      tally.foreign += 1
      link.count('foreign')
      if (!isOk(outcome.answer)) return inItsPlace()
      passedOn?.(outcome.answer)
      return outcome.answer
    }
    const answer = await inItsPlace()
    const result = link.blame(outcome, answer)
    if (result === 'error') tally.error(outcome.why)
    else tally.rejected += 1
    link.count(result)
    return answer
  }

  #counted({ own }: PlanInForce, answer: Answer): Answer {
    if (isOk(answer)) this.#pace.answered(answer.durationMs)
    return counted(own, answer)
  }

  /** Connections to a peer that stays, and what its breaker knows, outlive the plan. */
  #begin(file: PlanFile, before?: PeerLink): PlanInForce {
    const { phase, onRelay, identity } = this.#options
    const plan = {
      file,
      own: new Tally(),
      split: new Split(file.weightPermille, phase),
      shadowSplit: new Split(file.shadowPermille, phase),
    }
    if (file.peer === undefined) return plan
    const link =
      before?.isTo(file.peer) === true ? before : new PeerLink(file.peer, { onRelay, identity, pace: this.#pace })
    const tally = new Tally()
    return { ...plan, peer: { link, tally, shadow: new Shadow(link, tally) } }
  }
}

function isForPeer({ file, split }: PlanInForce, { headers }: InferenceRequest): boolean {
  const user = file.stickyHeader === undefined ? undefined : headers[file.stickyHeader]
  if (user === undefined || user.length === 0) return split.take()
  return stickyBucket(file.peer?.revision ?? '', String(user)) < file.weightPermille
}

/** Our own share: a 5xx or 429 is our failure, any other refusal the client's. */
function counted(tally: Tally, answer: Answer): Answer {
  if (isOk(answer)) tally.ok(answer.durationMs)
  else if (answer.status >= 500 || answer.status === 429) tally.error(answer.failure ?? `status ${answer.status}`)
  else tally.rejected += 1
  return answer
}
