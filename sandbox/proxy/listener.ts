import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import type { Backend, Frontend } from './backends.ts'
import { Chooser } from './chooser.ts'

/** Added to a port that only a privileged process may listen on. */
const UNPRIVILEGED_OFFSET = 10_000
const CONNECT_TIMEOUT_MS = 10_000

/**
 * One Service port. Every new connection is joined to one backend and stays there until either side ends it, whatever
 * becomes of the Service; without a backend, or when the backend refuses, the client's connection is reset, as kube-proxy has it.
 */
export class Listener {
  readonly #chooser: Chooser
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #wanted: { readonly host: string; readonly port: number }
  #port: number | undefined

  constructor(frontend: Frontend) {
    this.#wanted = frontend
    this.#chooser = new Chooser(frontend)
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(client),
    )
  }

  /** Where it listens in fact; undefined until it does. */
  get address(): string | undefined {
    return this.#port === undefined ? undefined : `${this.#wanted.host}:${this.#port}`
  }

  /** True when the port that was asked for is reserved for privileged processes. */
  get isMoved(): boolean {
    return this.#port !== undefined && this.#port !== this.#wanted.port
  }

  /** Rejects with the error of `listen`. */
  async open(): Promise<void> {
    const { host, port } = this.#wanted
    try {
      await listen(this.#server, host, port)
      this.#port = port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
      await listen(this.#server, host, port + UNPRIVILEGED_OFFSET)
      this.#port = port + UNPRIVILEGED_OFFSET
    }
  }

  update(frontend: Frontend): void {
    this.#chooser.update(frontend)
  }

  /** Accepts no more connections; those that are there go on. */
  retire(): void {
    this.#server.close()
  }

  /** Ends everything. */
  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Connections that are open, counted once. */
  get connections(): number {
    return this.#sockets.size / 2
  }

  #accept(client: Socket): void {
    const backend = this.#chooser.next(client.remoteAddress ?? '', Date.now())
    client.on('error', () => client.destroy())
    if (backend === undefined) return void client.resetAndDestroy()
    this.#join(client, backend)
  }

  #join(client: Socket, { host, port }: Backend): void {
    const server = connect({ host, port, allowHalfOpen: true, noDelay: true })
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    server.setTimeout(CONNECT_TIMEOUT_MS, () => server.destroy(new Error('connect timeout')))
    server.once('connect', () => {
      server.setTimeout(0)
      client.pipe(server)
      server.pipe(client)
    })
    end(client, server)
    end(server, client)
  }
}

/** A connection that breaks on one side breaks on the other: a clean end is passed on by the pipes. */
function end(from: Socket, to: Socket): void {
  let isBroken = false
  from.on('error', () => (isBroken = true))
  from.once('close', (hadError) => {
    if (hadError || isBroken || !from.readableEnded) to.resetAndDestroy()
  })
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
