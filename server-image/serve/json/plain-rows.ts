/**
 * The shapes that nearly all rows come in, `{"features":[0.5,-1,22.75]}` and the same with rows of them, read in one pass over the bytes:
 * a quarter of the time that it takes to look at the structure of JSON, to parse it and to look at what came of it.
 *
 * Law: what is read here is what JSON.parse makes of it; everything else is undefined, and for others to read or to refuse.
 */

const SPACE = 0x20
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const CLOSE_BRACE = 0x7d

/** An integer of so many digits is a double, and so is each power of ten below: their quotient is the double next to the decimal. */
const MAX_DIGITS = 15
const POWERS_OF_TEN = Array.from({ length: MAX_DIGITS + 1 }, (_, power) => 10 ** power)

const NOT_PLAIN = -1

/** Reads objects of one member. */
export class PlainRows {
  /** All up to the colon. */
  readonly #opening: Buffer

  /** @param name of the member; it needs no escapes in JSON */
  constructor(name: string) {
    this.#opening = Buffer.from(`{"${name}":`)
  }

  /** The member's value where it is an array of numbers. */
  row(body: Buffer): number[] | undefined {
    const start = this.#valueOf(body)
    if (start === NOT_PLAIN) return undefined
    const row: number[] = []
    return isEnd(body, readRow(body, start, row)) ? row : undefined
  }

  /** The member's value where it is an array of at least one array of numbers. */
  rows(body: Buffer): number[][] | undefined {
    let at = this.#valueOf(body)
    if (at === NOT_PLAIN || body[at] !== OPEN_BRACKET) return undefined
    const rows: number[][] = []
    do {
      const row: number[] = []
      at = readRow(body, pastSpace(body, at + 1), row)
      rows.push(row)
    } while (at !== NOT_PLAIN && body[at] === COMMA)
    const isClosed = at !== NOT_PLAIN && body[at] === CLOSE_BRACKET
    return isClosed && isEnd(body, at + 1) ? rows : undefined
  }

  /** Where the value begins. */
  #valueOf(body: Buffer): number {
    const opening = this.#opening
    for (let at = 0; at < opening.length; at += 1) if (body[at] !== opening[at]) return NOT_PLAIN
    return pastSpace(body, opening.length)
  }
}

/** Serializers write one space behind a comma or a colon, or none. */
function pastSpace(body: Buffer, at: number): number {
  return body[at] === SPACE ? at + 1 : at
}

function isEnd(body: Buffer, at: number): boolean {
  return at !== NOT_PLAIN && at === body.length - 1 && body[at] === CLOSE_BRACE
}

/** @returns where the text goes on behind the row, with at least one number in `row` */
function readRow(body: Buffer, start: number, row: number[]): number {
  if (body[start] !== OPEN_BRACKET) return NOT_PLAIN
  let at = start
  do {
    at = readNumber(body, pastSpace(body, at + 1), row)
  } while (at !== NOT_PLAIN && body[at] === COMMA)
  return at !== NOT_PLAIN && body[at] === CLOSE_BRACKET ? at + 1 : NOT_PLAIN
}

/** @returns where the text goes on behind the number, which is the last of `row` then */
function readNumber(body: Buffer, start: number, row: number[]): number {
  const isNegative = body[start] === MINUS
  const first = isNegative ? start + 1 : start
  const point = digitsEnd(body, first)
  const end = body[point] === POINT ? digitsEnd(body, point + 1) : point
  const whole = point - first
  const decimals = end === point ? 0 : end - point - 1
  const isNumber = whole > 0 && (whole === 1 || body[first] !== ZERO) && body[end - 1] !== POINT
  if (!isNumber || whole + decimals > MAX_DIGITS) return NOT_PLAIN
  let digits = 0
  for (let at = first; at < end; at += 1) if (at !== point) digits = digits * 10 + (body[at] ?? 0) - ZERO
  const value = digits / (POWERS_OF_TEN[decimals] ?? 1)
  row.push(isNegative ? -value : value)
  return end
}

function digitsEnd(body: Buffer, start: number): number {
  let at = start
  for (let byte = body[at] ?? 0; byte >= ZERO && byte <= NINE; byte = body[at] ?? 0) at += 1
  return at
}
