/**
 * Sets of field paths and their form in managedFields (FieldsV1). A path element is kept as FieldsV1 writes it: `f:name` for a
 * field, `k:{"name":"x"}` for an item of a keyed list, `v:"x"` for an item of a set. Sets are never changed once they are shared.
 */
import { isObject, type Json, type JsonObject } from '../json.ts'

export class FieldSet {
  readonly #members = new Set<string>()
  readonly #children = new Map<string, FieldSet>()

  static of(...paths: readonly (readonly string[])[]): FieldSet {
    const set = new FieldSet()
    for (const path of paths) set.insert(path)
    return set
  }

  /** Reads FieldsV1. */
  static parse(fields: Json | undefined): FieldSet {
    const set = new FieldSet()
    if (!isObject(fields)) return set
    for (const [element, below] of Object.entries(fields)) {
      if (element === '.' || !isObject(below)) continue
      const keys = Object.keys(below)
      if (keys.length === 0 || keys.includes('.')) set.#members.add(element)
      const child = FieldSet.parse(below)
      if (!child.isEmpty()) set.#children.set(element, child)
    }
    return set
  }

  insert(path: readonly string[]): void {
    const [element, ...rest] = path
    if (element === undefined) return
    if (rest.length === 0) this.#members.add(element)
    else this.#childToFill(element).insert(rest)
  }

  #childToFill(element: string): FieldSet {
    const known = this.#children.get(element)
    if (known) return known
    const child = new FieldSet()
    this.#children.set(element, child)
    return child
  }

  isEmpty(): boolean {
    return this.#members.size === 0 && [...this.#children.values()].every((child) => child.isEmpty())
  }

  hasMember(element: string): boolean {
    return this.#members.has(element)
  }

  below(element: string): FieldSet | undefined {
    return this.#children.get(element)
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis || inOther)
  }

  /** Exactly the paths in this set and not in the other; what lies below a path is a path of its own. */
  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis && !inOther)
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (inThis, inOther) => inThis && inOther)
  }

  /** Without the other's paths and everything below them. */
  without(other: FieldSet): FieldSet {
    const result = new FieldSet()
    for (const element of this.#members) if (!other.hasMember(element)) result.#members.add(element)
    for (const [element, child] of this.#children) {
      if (other.hasMember(element)) continue
      const below = other.below(element)
      const rest = below ? child.without(below) : child
      if (!rest.isEmpty()) result.#children.set(element, rest)
    }
    return result
  }

  #combine(other: FieldSet, keeps: (inThis: boolean, inOther: boolean) => boolean): FieldSet {
    const result = new FieldSet()
    for (const element of new Set([...this.#members, ...other.#members])) {
      if (keeps(this.#members.has(element), other.#members.has(element))) result.#members.add(element)
    }
    for (const element of new Set([...this.#children.keys(), ...other.#children.keys()])) {
      const child = (this.#children.get(element) ?? EMPTY).#combine(other.#children.get(element) ?? EMPTY, keeps)
      if (!child.isEmpty()) result.#children.set(element, child)
    }
    return result
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty() && other.difference(this).isEmpty()
  }

  /** Every path in order: at each level first the members, then what lies below the elements. */
  *paths(prefix: readonly string[] = []): Generator<string[]> {
    for (const element of [...this.#members].sort()) yield [...prefix, element]
    for (const element of [...this.#children.keys()].sort())
      yield* this.#children.get(element)?.paths([...prefix, element]) ?? []
  }

  elements(): IterableIterator<[string, FieldSet]> {
    return this.#children.entries()
  }

  /** A copy with more members at this level and with its children replaced. */
  rebuilt(moreMembers: Iterable<string>, children: Iterable<readonly [string, FieldSet]>): FieldSet {
    const result = new FieldSet()
    for (const element of this.#members) result.#members.add(element)
    for (const element of moreMembers) result.#members.add(element)
    for (const [element, child] of children) result.#children.set(element, child)
    return result
  }

  toFieldsV1(): JsonObject {
    const fields: JsonObject = {}
    const elements = new Set([...this.#members, ...this.#children.keys()])
    for (const element of [...elements].sort()) {
      const below = this.#children.get(element)?.toFieldsV1() ?? {}
      const hasBelow = Object.keys(below).length > 0
      fields[element] = hasBelow && this.#members.has(element) ? { '.': {}, ...below } : below
    }
    return fields
  }
}

const EMPTY = new FieldSet()

/** `.spec.containers[name="app"].image`: how errors name a path. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('')
}

function elementText(element: string): string {
  const rest = element.slice(2)
  if (element.startsWith('f:')) return `.${rest}`
  if (element.startsWith('v:')) return `[=${rest}]`
  if (element.startsWith('i:')) return `[${rest}]`
  const keys = JSON.parse(rest) as JsonObject
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`
}
