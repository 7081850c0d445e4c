/** Bytes of request bodies that one server holds in memory, all connections together: from their arrival until they are answered. */
export class BodyBudget {
  readonly #limitBytes: number
  #takenBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get takenBytes(): number {
    return this.#takenBytes
  }

  hasRoomFor(bytes: number): boolean {
    return this.#takenBytes + bytes <= this.#limitBytes
  }

  /** False, with nothing taken, when there is no room. */
  take(bytes: number): boolean {
    const isTaken = this.hasRoomFor(bytes)
    if (isTaken) this.#takenBytes += bytes
    return isTaken
  }

  /** @param bytes as many as were taken */
  giveBack(bytes: number): void {
    this.#takenBytes -= bytes
  }
}
