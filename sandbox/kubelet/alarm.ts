/** Lets one loop sleep until something happens or a time has come; what rings before the loop waits is not lost. */
export class Alarm {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves at the next ring, or at `atMs` (wall time) if that is given and earlier. */
  async wait(atMs?: number): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer =
        atMs === undefined ? undefined : setTimeout(resolve, Math.min(Math.max(0, atMs - Date.now()), 2 ** 31 - 1))
      await promise
      clearTimeout(timer)
    }
    this.#wake = undefined
    this.#rung = false
  }
}
