import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '../answer.ts'

export type Sendable = Pick<Answer, 'status' | 'headers' | 'body'>

/** @param closing the client is to open a new connection for its next request */
export function send(response: ServerResponse, { status, headers, body }: Sendable, closing: boolean): void {
  if (response.destroyed) return
  response.writeHead(status, framed(headers, body, closing))
  response.end(body)
}

/** How long a client may go on sending a body that was refused, before its connection is closed under it. */
const LINGER_MS = 2_000

/**
 * Answers before the body has been read. The connection is closed only when the client has stopped sending or some time has
 * passed: closing it at once would reset it, and the client would lose the answer that tells it why (RFC 9112, 9.6).
 */
export function sendEarly(request: IncomingMessage, response: ServerResponse, answer: Sendable): void {
  if (response.destroyed) return
  response.writeHead(answer.status, framed(answer.headers, answer.body, true))
  response.write(answer.body)
  const end = () => {
    clearTimeout(timer)
    request.off('end', end).off('close', end)
    response.end()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.on('end', end).on('close', end).resume()
}

function framed(headers: readonly string[], body: string | Buffer, closing: boolean): string[] {
  const framing = ['content-length', String(Buffer.byteLength(body))]
  return closing ? [...headers, ...framing, 'connection', 'close'] : [...headers, ...framing]
}
