/**
 * What a request must know of the others on its connection: HTTP/1.1 answers them in order, and a request behind the one whose answer
 * ends the connection must not be processed (RFC 9112, 9.6): nobody would ever get its answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

interface Connection {
  latest: Exchange
  /** The answer of the latest ends the connection. */
  isEnding: boolean
}

export class Exchanges {
  readonly #isClosing: () => boolean
  readonly #connections = new WeakMap<Duplex, Connection>()

  /** @param isClosing whether answers are to end their connections, now */
  constructor(isClosing: () => boolean) {
    this.#isClosing = isClosing
  }

  /** False for a request that must not be processed. */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    const connection = this.#connections.get(request.socket)
    const isEnding = this.#isClosing()
    if (connection === undefined) {
      this.#connections.set(request.socket, { latest: { request, response }, isEnding })
      return true
    }
    if (connection.isEnding) return false
    connection.latest = { request, response }
    connection.isEnding = isEnding
    return true
  }

  /** Whether an answer that is sent now ends its connection; with it, whatever comes later is not processed. */
  ends({ request, response }: Exchange): boolean {
    const connection = this.#connections.get(request.socket)
    if (connection?.latest.response !== response) return false
    connection.isEnding ||= this.#isClosing()
    return connection.isEnding
  }

  /** The answer to this exchange, which is the latest of its connection, ends it. */
  endWith({ request }: Exchange): void {
    const connection = this.#connections.get(request.socket)
    if (connection !== undefined) connection.isEnding = true
  }

  latestOf(socket: Duplex): Exchange | undefined {
    return this.#connections.get(socket)?.latest
  }
}
