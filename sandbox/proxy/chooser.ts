import type { Backend, Frontend } from './backends.ts'

/** Decides which backend a new connection goes to: by turns, or to the one that this client had last. */
export class Chooser {
  #frontend: Frontend
  #turn = 0
  readonly #sticky = new Map<string, { readonly backend: Backend; readonly untilMs: number }>()

  constructor(frontend: Frontend) {
    this.#frontend = frontend
    this.#turn = Math.floor(Math.random() * frontend.backends.length)
  }

  /** New connections follow it from now on. */
  update(frontend: Frontend): void {
    this.#frontend = frontend
    for (const [client, { backend }] of this.#sticky) if (!isAmong(frontend, backend)) this.#sticky.delete(client)
  }

  /** Undefined when nobody can answer. */
  next(client: string, nowMs: number): Backend | undefined {
    const { backends, affinityMs } = this.#frontend
    const kept = affinityMs === undefined ? undefined : this.#sticky.get(client)
    const backend = kept !== undefined && kept.untilMs > nowMs ? kept.backend : backends[this.#turn++ % backends.length]
    if (affinityMs !== undefined && backend !== undefined) {
      this.#sticky.set(client, { backend, untilMs: nowMs + affinityMs })
    }
    return backend
  }
}

function isAmong({ backends }: Frontend, wanted: Backend): boolean {
  return backends.some(({ host, port }) => host === wanted.host && port === wanted.port)
}
