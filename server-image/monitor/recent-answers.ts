/**
 * The ids that answers carry, and what was answered under each: bounded in answers and in numbers, those that were given first
 * forgotten first.
 *
 * An id of our own tells where its answer lies, so nothing is hashed on the way of a request; only ids that clients chose are looked up
 * in a map. What was answered lies in arrays of numbers that are made once: an object for each answer would outlive many collections of
 * garbage, and cost each of them a copy. Texts are cut as `keptLabel` says.
 */
import { createHash } from 'node:crypto'
import type { Prediction } from '../model/rows.ts'
import { keptLabel } from './kept-label.ts'

/** Of one answer. */
export interface AnswerId {
  /** Ascending, in this process. */
  readonly sequence: number
  /** As clients see it. */
  text: string
  /** Whether the client chose the text; it may look like one of ours then. */
  isChosen: boolean
}

export interface KeptAnswer {
  readonly predictions: readonly Prediction[]
  /** Labels came for it: each answer counts once. */
  readonly isLabelled: boolean
}

export interface RecentAnswersOptions {
  readonly revision: string
  /** Random, of this process; letters and digits. */
  readonly instance: string
  readonly maxAnswers: number
  /** Numbers in all answers together: each row has its prediction, its probability, and those of all classes. */
  readonly maxNumbers: number
}

/** What a client may call its request: what proxies and tracing tools make. */
const CLIENT_ID = /^[\w.:/+=@-]{1,128}$/

/** Revision, process, sequence. */
const OWN_ID = /^[\da-f]{8}-[\da-z]{1,32}-[\da-z]{1,11}$/i

/** Calls an answer as its client does in the body of its request, unless it chose a name by a header. @param wished taken if it looks like an id */
export function nameAs(id: AnswerId, wished: string): void {
  if (id.isChosen || !CLIENT_ID.test(wished)) return
  id.text = wished
  id.isChosen = true
}

/** Numbers of a row before the probabilities of its classes: prediction, probability. NaN stands for none. */
const ROW_HEAD = 2
const NOBODY = -1

export class RecentAnswers {
  readonly #prefix: string
  readonly #revisionTag: string
  readonly #maxAnswers: number
  readonly #byClientId = new Map<string, number>()
  /** A ring of numbers; each answer's lie together. */
  readonly #numbers: Float64Array
  /** Predictions that are text, at their places in `#numbers`; only a model that answers with text has them. */
  #labels: (number | string | undefined)[] | undefined
  // Of each answer, by its place: how many were kept before it, modulo the places.
  readonly #sequences: Float64Array
  readonly #starts: Int32Array
  readonly #rows: Int32Array
  readonly #widths: Int32Array
  readonly #isLabelled: Uint8Array
  readonly #clientIds: (string | undefined)[]
  /** Places of our own ids, by their sequence modulo the places. */
  readonly #places: Int32Array
  #next = 0
  #newest = NOBODY
  #kept = 0
  #forgotten = 0
  #writeAt = 0

  constructor({ revision, instance, maxAnswers, maxNumbers }: RecentAnswersOptions) {
    this.#revisionTag = `${createHash('sha256').update(revision).digest('hex').slice(0, 8)}-`
    this.#prefix = `${this.#revisionTag}${instance}-`
    this.#maxAnswers = maxAnswers
    this.#numbers = new Float64Array(maxNumbers)
    this.#sequences = new Float64Array(maxAnswers).fill(NOBODY)
    this.#starts = new Int32Array(maxAnswers)
    this.#rows = new Int32Array(maxAnswers)
    this.#widths = new Int32Array(maxAnswers)
    this.#isLabelled = new Uint8Array(maxAnswers)
    this.#clientIds = new Array<string | undefined>(maxAnswers).fill(undefined)
    this.#places = new Int32Array(maxAnswers)
  }

  /** @param wished what the client calls its request, if it does; taken if it looks like an id */
  newId(wished?: string): AnswerId {
    const sequence = this.#next
    this.#next += 1
    const isTaken = wished !== undefined && CLIENT_ID.test(wished)
    return { sequence, text: isTaken ? wished : this.#prefix + sequence.toString(36), isChosen: isTaken }
  }

  /** @param predictions all with as many probabilities */
  keep({ sequence, text, isChosen }: AnswerId, predictions: readonly Prediction[]): void {
    const width = ROW_HEAD + (predictions[0]?.probabilities?.length ?? 0)
    const size = predictions.length * width
    // Its place belongs to a newer one.
    if (size > this.#numbers.length || sequence <= this.#newest - this.#maxAnswers) return
    const start = this.#roomFor(size)
    const place = this.#kept % this.#maxAnswers
    this.#kept += 1
    this.#newest = Math.max(this.#newest, sequence)
    this.#sequences[place] = sequence
    this.#starts[place] = start
    this.#rows[place] = predictions.length
    this.#widths[place] = width
    this.#isLabelled[place] = 0
    this.#writeAt = start + size
    for (let row = 0; row < predictions.length; row += 1)
      this.#write(predictions[row] as Prediction, start + row * width)
    this.#places[sequence % this.#maxAnswers] = place
    if (!isChosen) return
    this.#clientIds[place] = text
    this.#byClientId.set(text, place)
  }

  find(text: string): KeptAnswer | undefined {
    const place = this.#placeOf(text)
    if (place === undefined) return undefined
    const width = this.#widths[place] ?? ROW_HEAD
    const start = this.#starts[place] ?? 0
    return {
      predictions: Array.from({ length: this.#rows[place] ?? 0 }, (_, row) => this.#read(start + row * width, width)),
      isLabelled: this.#isLabelled[place] === 1,
    }
  }

  /** Labels came for the answer of this id, if it is kept. */
  markLabelled(text: string): void {
    const place = this.#placeOf(text)
    if (place !== undefined) this.#isLabelled[place] = 1
  }

  /** Whether another process of this revision may have given that id, or this one did and forgot. */
  isOfThisRevision(text: string): boolean {
    return text.startsWith(this.#revisionTag) && OWN_ID.test(text)
  }

  #placeOf(text: string): number | undefined {
    const chosen = this.#byClientId.get(text)
    if (chosen !== undefined || !text.startsWith(this.#prefix)) return chosen
    const sequence = Number.parseInt(text.slice(this.#prefix.length), 36)
    if (!(sequence >= 0 && text === this.#prefix + sequence.toString(36))) return undefined
    const place = this.#places[sequence % this.#maxAnswers]
    return place !== undefined && this.#sequences[place] === sequence ? place : undefined
  }

  /** Where so many numbers may be written, when what was there is forgotten. */
  #roomFor(size: number): number {
    const isAround = this.#writeAt + size > this.#numbers.length
    const start = isAround ? 0 : this.#writeAt
    while (this.#forgotten < this.#kept) {
      const oldest = this.#forgotten % this.#maxAnswers
      const from = this.#starts[oldest] ?? 0
      const to = from + (this.#rows[oldest] ?? 0) * (this.#widths[oldest] ?? 0)
      const isInTheWay = (isAround && from >= this.#writeAt) || (from < start + size && to > start)
      if (!isInTheWay && this.#kept - this.#forgotten < this.#maxAnswers) break
      this.#forget(oldest)
    }
    return start
  }

  #forget(place: number): void {
    this.#forgotten += 1
    this.#sequences[place] = NOBODY
    this.#forgetLabels(place)
    const clientId = this.#clientIds[place]
    if (clientId === undefined) return
    this.#clientIds[place] = undefined
    if (this.#byClientId.get(clientId) === place) this.#byClientId.delete(clientId)
  }

  #forgetLabels(place: number): void {
    if (this.#labels === undefined) return
    const width = this.#widths[place] ?? ROW_HEAD
    const start = this.#starts[place] ?? 0
    for (let row = 0; row < (this.#rows[place] ?? 0); row += 1) this.#labels[start + row * width] = undefined
  }

  #write({ prediction, probability, probabilities }: Prediction, at: number): void {
    const isText = typeof prediction === 'string'
    this.#numbers[at] = isText ? NaN : prediction
    if (isText) {
      this.#labels ??= new Array<number | string | undefined>(this.#numbers.length)
      this.#labels[at] = keptLabel(prediction)
    }
    this.#numbers[at + 1] = probability ?? NaN
    if (probabilities === undefined) return
    for (let index = 0; index < probabilities.length; index += 1)
      this.#numbers[at + ROW_HEAD + index] = probabilities[index] ?? NaN
  }

  #read(at: number, width: number): Prediction {
    const [value = NaN, probability = NaN] = this.#numbers.subarray(at, at + ROW_HEAD)
    const prediction = Number.isNaN(value) ? (this.#labels?.[at] ?? NaN) : value
    const row = { prediction, probability: Number.isNaN(probability) ? null : probability }
    if (width === ROW_HEAD) return row
    return { ...row, probabilities: Array.from(this.#numbers.subarray(at + ROW_HEAD, at + width)) }
  }
}
