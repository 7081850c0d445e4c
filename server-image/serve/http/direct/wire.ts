/** Answers as they go over an HTTP/1.1 connection, in one piece. */
import { STATUS_CODES } from 'node:http'
import type { Answer } from '../../answer.ts'

const CLOSE = 'connection: close\r\n'

/** Makes answers of one server. */
export class Wire {
  readonly #keep: string
  #second = -1
  #date = ''

  /** @param keepAliveMs how long a connection may be silent, in milliseconds */
  constructor(keepAliveMs: number) {
    this.#keep = `connection: keep-alive\r\nkeep-alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`
  }

  /**
   * @param isLast the answer ends its connection
   * @returns text of one byte a character, or bytes
   */
  of({ status, headers, body }: Pick<Answer, 'status' | 'headers' | 'body'>, isLast: boolean): string | Buffer {
    const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    for (let at = 0; at < headers.length; at += 2) head += `${headers[at] ?? ''}: ${headers[at + 1] ?? ''}\r\n`
    head += `content-length: ${bodyBytes}\r\ndate: ${this.#now()}\r\n${isLast ? CLOSE : this.#keep}\r\n`
    if (typeof body === 'string' && body.length === bodyBytes) return head + body
    const wire = Buffer.allocUnsafe(head.length + bodyBytes)
    wire.write(head, 0, 'latin1')
    if (typeof body === 'string') wire.write(body, head.length, 'utf8')
    else body.copy(wire, head.length)
    return wire
  }

  /** It changes once a second, and every answer carries it (RFC 9110, 6.6.1). */
  #now(): string {
    const second = Math.floor(Date.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#date = new Date(second * 1000).toUTCString()
    }
    return this.#date
  }
}
