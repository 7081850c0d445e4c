/**
 * Finds the first place where a text stops being JSON (RFC 8259). Only for texts that JSON.parse refused: its messages name
 * a position in some cases and not in others.
 */
export interface JsonFault {
  /** Index in UTF-16 units, from 0. */
  readonly position: number
  /** What is wrong there, as half a sentence. */
  readonly problem: string
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const LITERAL = /true|false|null/y
const WORD = /[-+]?[A-Za-z_]+/y
const SPACE = /[ \t\n\r]*/y
const STRING_PART = /[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** The caller bounds the nesting. Undefined when the text is JSON after all. */
export function jsonFault(text: string): JsonFault | undefined {
  const reader = new FaultFinder(text)
  try {
    reader.document()
    return undefined
  } catch (fault) {
    if (fault instanceof Fault) return { position: fault.position, problem: fault.message }
    throw fault
  }
}

class Fault extends Error {
  readonly position: number

  constructor(position: number, problem: string) {
    super(problem)
    this.position = position
  }
}

class FaultFinder {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): void {
    this.#value()
    this.#skip(SPACE)
    if (this.#at < this.#text.length) throw this.#unexpected('the end')
  }

  #value(): void {
    this.#skip(SPACE)
    const first = this.#text[this.#at]
    if (first === '{') this.#members('}', () => this.#member())
    else if (first === '[') this.#members(']', () => this.#value())
    else if (first === '"') this.#string()
    else if (!this.#skip(LITERAL) && !this.#skip(NUMBER)) throw this.#unexpected('a value')
  }

  #members(close: string, member: () => void): void {
    this.#at += 1
    this.#skip(SPACE)
    if (this.#take(close)) return
    do member()
    while (this.#separator(close))
  }

  /** True for a comma, false for the end. */
  #separator(close: string): boolean {
    this.#skip(SPACE)
    if (this.#take(close)) return false
    if (this.#take(',')) return true
    throw this.#unexpected(`"," or "${close}"`)
  }

  #member(): void {
    this.#skip(SPACE)
    if (this.#text[this.#at] !== '"') throw this.#unexpected('a name in double quotes')
    this.#string()
    this.#skip(SPACE)
    if (!this.#take(':')) throw this.#unexpected('":"')
    this.#value()
  }

  #string(): void {
    const open = this.#at
    this.#at += 1
    while (this.#skip(STRING_PART));
    if (this.#take('"')) return
    if (this.#at >= this.#text.length) throw new Fault(open, 'a string that does not end')
    throw new Fault(
      this.#at,
      this.#text[this.#at] === '\\' ? 'an invalid escape in a string' : 'a control character in a string',
    )
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  /** False when nothing was skipped. */
  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null || found[0] === '') return false
    this.#at += found[0].length
    return true
  }

  #unexpected(wanted: string): Fault {
    if (this.#at >= this.#text.length) return new Fault(this.#at, `the text ends where ${wanted} should follow`)
    WORD.lastIndex = this.#at
    const found = WORD.exec(this.#text)?.[0] ?? String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0)
    return new Fault(this.#at, `unexpected ${JSON.stringify(found.slice(0, 20))} where ${wanted} should follow`)
  }
}
