import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { TransportError } from './errors.ts'

interface Exchange {
  readonly agent: Agent
  readonly server: URL
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly signal: AbortSignal
  /** Called when this exchange opened a connection of its own. */
  readonly onConnected: () => void
}

/** One HTTP request; resolves with the answer's head. While the signal is open it also ends the body. */
export function exchange(wanted: Exchange): Promise<IncomingMessage> {
  const { server, signal } = wanted
  const name = `${wanted.method} ${wanted.path}`
  const send = server.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      const reason: unknown = signal.aborted ? signal.reason : undefined
      reject(reason instanceof Error ? reason : new TransportError('connection', `${name}: ${textOf(error)}`, error))
    }
    const request = send({
      agent: wanted.agent,
      protocol: server.protocol,
      hostname: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port,
      method: wanted.method,
      path: `${server.pathname.replace(/\/$/, '')}${wanted.path}`,
      headers: { ...wanted.headers, ...(wanted.body !== undefined && { 'content-length': wanted.body.length }) },
      signal,
    })
    request.once('response', resolve)
    request.on('error', fail)
    request.once('socket', () => reportNewConnection(request, wanted.onConnected))
    request.end(wanted.body)
  })
}

function reportNewConnection(request: ClientRequest, onConnected: () => void): void {
  if (!request.reusedSocket) onConnected()
}

/** The whole body, unless it is larger than allowed: then the connection is dropped. */
export async function readBody(response: IncomingMessage, maxBytes: number, name: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) throw new TransportError('too-large', `${name}: the answer is larger than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof TransportError) throw error
    throw new TransportError('connection', `${name}: the answer broke off: ${textOf(error)}`, error)
  }
  return Buffer.concat(chunks, size)
}

function textOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return message || code || String(error)
}
