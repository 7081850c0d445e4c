/**
 * Leaves without losing a request: while Kubernetes is still telling everybody that this pod is going, requests keep coming, on old
 * connections and on new ones, and all of them are answered.
 *
 * From the first moment each answer ends its connection (that is the listener's part). A connection that stays silent is closed
 * only after a grace, as its client may be just about to use it; and the door is shut only when nobody came through it for as long.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { acceptedBy } from './tls/accepted.ts'

export interface DrainTiming {
  /** Silence after which a connection, and the door, may be closed, in milliseconds. */
  readonly graceMs: number
  /** After this everything is closed, in milliseconds. */
  readonly limitMs: number
}

interface Connection {
  bytesRead: number
  /** When its bytes were last seen to have grown; before a drain nobody looks, so then it is when it was accepted. */
  heardAt: number
  /** Requests without a complete answer. */
  pending: number
}

const CHECK_EVERY_MS = 100

/** Requests that are answered past the server's own events. */
export interface OtherRequests {
  /** @param follower is told of every connection from now on, in place of the server's own event */
  follow(follower: (socket: Socket) => void): void
  /** When the latest came, by `performance.now()`. */
  readonly lastArrival: number
  /** Whether one of this connection has no complete answer yet. */
  isBusy(socket: Socket): boolean
}

export class Connections {
  readonly #server: Server
  readonly #others: OtherRequests | undefined
  readonly #open = new Map<Socket, Connection>()
  /** With TLS, the connections below the open ones, and those whose handshake is not over. */
  readonly #below: ReadonlySet<Socket>
  /** Of a request that asks for an inference: probes and scrapes go on as long as there is anybody to ask. */
  #lastArrival = -Infinity

  constructor(server: Server, others?: OtherRequests) {
    this.#server = server
    this.#others = others
    const isTls = server instanceof TlsServer
    this.#below = isTls ? acceptedBy(server) : new Set()
    const follower = (socket: Socket) => {
      this.#open.set(socket, { bytesRead: 0, heardAt: performance.now(), pending: 0 })
      socket.once('close', () => this.#open.delete(socket))
    }
    if (others === undefined) server.on(isTls ? 'secureConnection' : 'connection', follower)
    else others.follow(follower)
    const onRequest = ({ socket, method }: IncomingMessage, response: ServerResponse) => {
      if (method === 'POST') this.#lastArrival = performance.now()
      const connection = this.#open.get(socket)
      if (connection === undefined) return
      connection.pending += 1
      response.once('close', () => (connection.pending -= 1))
    }
    for (const event of ['request', 'checkContinue', 'checkExpectation']) server.prependListener(event, onRequest)
  }

  /** Resolves when every connection is closed: true if none had to be cut off with a request on it. */
  async drain({ graceMs, limitMs }: DrainTiming): Promise<boolean> {
    const startedAt = performance.now()
    for (const connection of this.#open.values()) connection.heardAt = startedAt
    for (;;) {
      const now = performance.now()
      this.#closeSilent(now, graceMs)
      const nobodyCame = now - Math.max(startedAt, this.#lastArrival, this.#others?.lastArrival ?? 0) >= graceMs
      const nobodyIsHere = this.#open.size === 0 && this.#below.size === 0
      if ((nobodyCame && nobodyIsHere) || now - startedAt >= limitMs) return this.close()
      await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS))
    }
  }

  /** Closes everything at once; true if no request was cut off. */
  close(): boolean {
    this.#server.close()
    let lostNone = true
    for (const [socket, connection] of this.#open) {
      lostNone &&= !this.#isBusy(socket, connection)
      socket.destroy()
    }
    for (const socket of this.#below) socket.destroy()
    return lostNone
  }

  #isBusy(socket: Socket, { pending }: Connection): boolean {
    return pending > 0 || this.#others?.isBusy(socket) === true
  }

  #closeSilent(now: number, graceMs: number): void {
    for (const [socket, connection] of this.#open) {
      if (socket.bytesRead !== connection.bytesRead || this.#isBusy(socket, connection)) {
        connection.bytesRead = socket.bytesRead
        connection.heardAt = now
      } else if (now - connection.heardAt >= graceMs) socket.destroySoon()
    }
  }
}
