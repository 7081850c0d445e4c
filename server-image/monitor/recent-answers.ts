/**
 * The ids that answers carry, and what was answered under each: bounded in answers and in numbers, the oldest forgotten first.
 *
 * An id of our own tells where its answer lies, so nothing is hashed on the way of a request; only ids that clients chose are looked
 * up in a map.
 */
import { createHash } from 'node:crypto'
import type { Prediction } from '../model/rows.ts'

/** Of one answer. */
export interface AnswerId {
  /** Ascending, in this process. */
  readonly sequence: number
  /** As clients see it. */
  readonly text: string
}

export interface KeptAnswer {
  readonly id: AnswerId
  readonly predictions: readonly Prediction[]
  /** Labels came for it: each answer counts once. */
  isLabelled: boolean
}

export interface RecentAnswersOptions {
  readonly revision: string
  /** Random, of this process; letters and digits. */
  readonly instance: string
  readonly maxAnswers: number
  /** Rows and probabilities in all answers together. */
  readonly maxNumbers: number
}

/** What a client may call its request: what proxies and tracing tools make. */
const CLIENT_ID = /^[\w.:/+=@-]{1,128}$/

export class RecentAnswers {
  readonly #maxNumbers: number
  readonly #prefix: string
  readonly #revisionTag: string
  readonly #ring: (KeptAnswer | undefined)[]
  readonly #byClientId = new Map<string, number>()
  #next = 0
  #oldest = 0
  #numbers = 0

  constructor({ revision, instance, maxAnswers, maxNumbers }: RecentAnswersOptions) {
    this.#maxNumbers = maxNumbers
    this.#revisionTag = `${createHash('sha256').update(revision).digest('hex').slice(0, 8)}-`
    this.#prefix = `${this.#revisionTag}${instance}-`
    this.#ring = new Array<KeptAnswer | undefined>(maxAnswers).fill(undefined)
  }

  /** @param wished what the client calls its request, if it does; taken if it looks like an id */
  newId(wished?: string): AnswerId {
    const sequence = this.#next
    this.#next += 1
    const isTaken = wished !== undefined && CLIENT_ID.test(wished)
    return { sequence, text: isTaken ? wished : this.#prefix + sequence.toString(36) }
  }

  keep(id: AnswerId, predictions: readonly Prediction[]): void {
    const { sequence, text } = id
    const size = numbersIn(predictions)
    const tooOld = Math.max(this.#oldest, sequence - this.#ring.length + 1)
    if (sequence < this.#oldest || size > this.#maxNumbers) return
    while (this.#oldest < tooOld) this.#forgetOldest()
    while (this.#numbers + size > this.#maxNumbers && this.#oldest < sequence) this.#forgetOldest()
    // A straggler gives way to answers that are newer than it.
    if (this.#numbers + size > this.#maxNumbers) return
    this.#ring[sequence % this.#ring.length] = { id, predictions, isLabelled: false }
    this.#numbers += size
    if (!text.startsWith(this.#prefix)) this.#byClientId.set(text, sequence)
  }

  find(text: string): KeptAnswer | undefined {
    const sequence = this.#byClientId.get(text) ?? this.#ownSequence(text)
    const kept = sequence === undefined ? undefined : this.#ring[sequence % this.#ring.length]
    return kept?.id.text === text ? kept : undefined
  }

  /** Whether another process of this revision gave that id, or this one did and forgot. */
  isOfThisRevision(text: string): boolean {
    return text.startsWith(this.#revisionTag)
  }

  #ownSequence(text: string): number | undefined {
    if (!text.startsWith(this.#prefix)) return undefined
    const sequence = Number.parseInt(text.slice(this.#prefix.length), 36)
    return Number.isSafeInteger(sequence) ? sequence : undefined
  }

  #forgetOldest(): void {
    const place = this.#oldest % this.#ring.length
    const kept = this.#ring[place]
    this.#oldest += 1
    if (kept === undefined || kept.id.sequence !== this.#oldest - 1) return
    this.#ring[place] = undefined
    this.#numbers -= numbersIn(kept.predictions)
    if (this.#byClientId.get(kept.id.text) === kept.id.sequence) this.#byClientId.delete(kept.id.text)
  }
}

function numbersIn(predictions: readonly Prediction[]): number {
  return predictions.reduce((sum, { probabilities }) => sum + 1 + (probabilities?.length ?? 0), 0)
}
