/** The latest so many different texts; the oldest is forgotten first. */
export class BoundedSet {
  readonly #capacity: number
  readonly #texts = new Set<string>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  has(text: string): boolean {
    return this.#texts.has(text)
  }

  add(text: string): void {
    this.#texts.add(text)
    if (this.#texts.size <= this.#capacity) return
    for (const oldest of this.#texts) {
      this.#texts.delete(oldest)
      return
    }
  }
}
