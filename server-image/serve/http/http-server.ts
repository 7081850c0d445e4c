/** The node:http server with limits that hold against slow, huge and broken clients; every refusal is JSON. */
import { createServer, STATUS_CODES, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError, errorBody } from '../api-error.ts'

export interface HttpLimits {
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
}

export const DEFAULT_LIMITS: HttpLimits = { maxConnections: 4096, headersTimeoutMs: 10_000, requestTimeoutMs: 30_000 }

/** Of a request's line and headers. */
export const MAX_HEADER_BYTES = 16 * 1024
/** Longer than the idle time of common load balancers (60 s), so that they close first and never meet a closing connection. */
const KEEP_ALIVE_MS = 75_000
const MAX_CHECK_INTERVAL_MS = 1_000

export function createHttpServer(listener: RequestListener, maxBodyBytes: number, limits: HttpLimits): Server {
  const { headersTimeoutMs, requestTimeoutMs, maxConnections } = limits
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(MAX_CHECK_INTERVAL_MS, headersTimeoutMs),
      maxHeaderSize: MAX_HEADER_BYTES,
      noDelay: true,
    },
    listener,
  )
  server.maxConnections = maxConnections
  server.maxRequestsPerSocket = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(socket, httpErrorOf(error)))
  server.on('checkContinue', (request, response) => {
    // A body that will be refused need not be sent at all.
    if (Number(request.headers['content-length'] ?? 0) <= maxBodyBytes) response.writeContinue()
    listener(request, response)
  })
  return server
}

function httpErrorOf({ code }: NodeJS.ErrnoException): ApiError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError('request_timeout', 'The request did not arrive in time; send it faster.')
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError('headers_too_large', `The headers are larger than ${MAX_HEADER_BYTES} bytes.`)
  }
  return new ApiError('invalid_http', 'The request is not valid HTTP/1.1.')
}

/** Writes straight to the socket, as there is no request that could be answered. */
function refuse(socket: Duplex, error: ApiError): void {
  const isAnswering = (socket as { _httpMessage?: { headersSent?: boolean } | null })._httpMessage?.headersSent === true
  if (!socket.writable || isAnswering) {
    socket.destroy()
    return
  }
  const body = errorBody(error)
  const head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: application/json; charset=utf-8\r\n`
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`, () =>
    socket.destroy(),
  )
}
