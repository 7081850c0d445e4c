import type { ServedModel } from './served-model.ts'

/** What the process can do right now; the one place that changes over its life. */
export class ServingState {
  #model: ServedModel | undefined
  #draining = false

  /** Undefined until it is loaded and warmed up. */
  get model(): ServedModel | undefined {
    return this.#model
  }

  get isDraining(): boolean {
    return this.#draining
  }

  /** New connections are welcome. */
  get isReady(): boolean {
    return this.#model !== undefined && !this.#draining
  }

  modelIsServed(model: ServedModel): void {
    this.#model = model
  }

  startDraining(): void {
    this.#draining = true
  }
}
