/** One controller: it says which keys changes concern, and brings what a key names to where it should be. */
export interface Controller {
  readonly name: string
  /** Subscribes to the caches; `enqueue` may be called with the same key as often as it likes. */
  watch(enqueue: (key: string) => void): void
  /**
   * Makes one key so. It reads caches, decides, and writes only what differs; throwing means that it is tried again, later each time.
   *
   * @returns when to look again (milliseconds since the epoch), if only time will tell.
   */
  sync(key: string): Promise<number | undefined>
}
