/**
 * The short way of plain inference requests: read, answered and written on the socket itself, past node:http, which takes longer over a
 * request than a small model does. Each connection begins here; one that sends anything else goes to node:http for good, so that every
 * other kind of HTTP, and every fault, has one judge.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { adopter } from './adopt.ts'
import { DirectConnection, type DirectOptions } from './connection.ts'
import { Wire } from './wire.ts'

export interface DirectFrontOptions extends Omit<DirectOptions, 'handOver' | 'wire'> {
  /** A connection that has asked for nothing yet is closed after so long, in milliseconds. */
  readonly firstRequestMs: number
}

/** A request that takes longer to come than this is for node:http, which has limits for it. */
const ARRIVAL_MS = 1_000
const MAX_SWEEP_MS = 1_000

export class DirectFront {
  readonly #options: DirectFrontOptions
  readonly #connections = new Map<Socket, DirectConnection>()
  readonly #followers: ((socket: Socket) => void)[] = []
  #lastArrival = -Infinity

  /** Takes the server's connections from now on; the server must not listen yet. */
  constructor(server: Server, options: DirectFrontOptions) {
    this.#options = options
    const listeners = server.listeners('connection')
    const toNode = (socket: Socket) => {
      for (const listener of listeners) Reflect.apply(listener, server, [socket])
    }
    server.removeAllListeners('connection')
    const connectionOptions: DirectOptions = {
      ...options,
      wire: new Wire(options.keepAliveMs),
      answer: (route, request) => {
        this.#lastArrival = request.receivedAt
        return options.answer(route, request)
      },
      handOver: (socket, bytes) => {
        this.#connections.delete(socket)
        socket.pause()
        if (bytes.length > 0) socket.unshift(bytes)
        toNode(socket)
        socket.resume()
      },
    }
    const adopt = adopter()
    server.on('connection', (accepted) => {
      const socket = adopt(accepted, (bytes) => connection.take(bytes))
      for (const follower of this.#followers) follower(socket ?? accepted)
      if (socket === undefined) return toNode(accepted)
      const connection = new DirectConnection(socket, connectionOptions)
      this.#connections.set(socket, connection)
      socket.once('close', () => this.#connections.delete(socket))
    })
    const sweep = setInterval(
      () => this.#sweep(),
      Math.min(MAX_SWEEP_MS, options.firstRequestMs, options.keepAliveMs),
    ).unref()
    server.once('close', () => clearInterval(sweep))
  }

  /** @param follower is told of every socket from now on, as it is the one that is read: none of them is that of the server's own event */
  follow(follower: (socket: Socket) => void): void {
    this.#followers.push(follower)
  }

  /** When the latest request was read here, by `performance.now()`. */
  get lastArrival(): number {
    return this.#lastArrival
  }

  /** Whether a request of this connection waits here for its answer, or is coming. */
  isBusy(socket: Socket): boolean {
    const connection = this.#connections.get(socket)
    return connection !== undefined && (connection.isAnswering || connection.arrivingSince !== undefined)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [socket, connection] of this.#connections) {
      const { arrivingSince, hasAsked } = connection
      const quietMs = connection.quietMs(now)
      if (arrivingSince !== undefined) {
        if (now - arrivingSince > ARRIVAL_MS) connection.handOver()
      } else if (quietMs > (hasAsked ? this.#options.keepAliveMs : this.#options.firstRequestMs)) socket.destroySoon()
    }
  }
}
