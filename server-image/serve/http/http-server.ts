/** The node:http server with limits that hold against slow, huge and broken clients; every refusal is JSON. */
import { createServer, STATUS_CODES, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Guard } from '../access/guard.ts'
import { errorHeaders } from '../answer.ts'
import { ApiError, errorBody, errorBodyAt } from '../api-error.ts'
import { refusalOf, type BodyLimits } from './body.ts'
import { framingFault } from './framing.ts'
import type { Exchange, Exchanges } from './exchanges.ts'
import { MAX_HEADER_BYTES, type HttpLimits } from './limits.ts'
import { send, sendEarly, type Sendable } from './send.ts'
import { canonicalTarget } from './target.ts'
import { doubtOf } from '../tls/proof.ts'
import type { TlsIdentity } from '../tls/tls-identity.ts'

const MAX_CHECK_INTERVAL_MS = 1_000

export interface HttpServerOptions {
  /** Gets the requests that are to be processed. */
  readonly listener: RequestListener
  readonly exchanges: Exchanges
  readonly bodies: BodyLimits
  readonly limits: HttpLimits
  /** Without one everybody may ask everything. */
  readonly guard?: Guard | undefined
  /** With it the server speaks TLS, and nothing else. */
  readonly tls?: TlsIdentity | undefined
}

export function createHttpServer({ listener, exchanges, bodies, limits, guard, tls }: HttpServerOptions): Server {
  const { headersTimeoutMs, requestTimeoutMs, maxConnections, keepAliveMs } = limits
  const begun =
    (handle: RequestListener): RequestListener =>
    (request, response) => {
      if (!exchanges.begin(request, response)) return void request.resume()
      response.once('prefinish', () => limitUnread(request.socket, keepAliveMs))
      const refusal = framingFault(request) ?? guard?.(request)
      if (refusal === undefined) return handle(request, response)
      exchanges.endWith({ request, response })
      sendEarly(request, response, errorAnswer(request, refusal))
    }
  const settings = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.min(MAX_CHECK_INTERVAL_MS, headersTimeoutMs),
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
    // Node's refusal has no body.
    requireHostHeader: false,
  }
  const server =
    tls === undefined
      ? createServer(settings, begun(listener))
      : tls.follow(createTlsServer({ ...settings, ...tls.serverOptions(headersTimeoutMs) }, begun(listener)))
  server.maxConnections = maxConnections
  server.maxRequestsPerSocket = 0
  const refused = new WeakSet<Duplex>()
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Whatever follows a fault is one as well.
    if (refused.has(socket)) return
    refused.add(socket)
    const doubt = tls?.asksForCertificates === true ? doubtBehind(error, socket) : undefined
    refuse(socket, doubt ?? httpErrorOf(error), exchanges.latestOf(socket))
  })
  const onContinue = begun((request, response) => {
    // A body that will be refused need not be sent at all.
    if (refusalOf(request, bodies) === undefined) response.writeContinue()
    listener(request, response)
  })
  const onExpectation = begun((request, response) => {
    exchanges.endWith({ request, response })
    sendEarly(request, response, errorAnswer(request, unknownExpectation(request)))
  })
  server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy())
    refuse(socket, noTunnels(), exchanges.latestOf(socket))
  })
  return server.on('checkContinue', onContinue).on('checkExpectation', onExpectation)
}

/** A client that takes nothing of its answer is let go as a silent one is; when it has taken it, node:http sets the time anew. */
function limitUnread(socket: Socket, keepAliveMs: number): void {
  if (socket.writableLength > 0) socket.setTimeout(keepAliveMs)
}

function noTunnels(): ApiError {
  return new ApiError('method_not_allowed', 'There are no tunnels here.', { allow: 'GET, HEAD, POST' })
}

function unknownExpectation({ headers: { expect = '' } }: IncomingMessage): ApiError {
  const message = `The server knows no expectation but "100-continue", and got "${expect.slice(0, 80)}".`
  return new ApiError('expectation_failed', message)
}

function errorAnswer({ url = '/' }: IncomingMessage, error: ApiError): Sendable {
  return { status: error.status, headers: errorHeaders(error), body: errorBodyAt(canonicalTarget(url), error) }
}

/**
 * What OpenSSL held against a client's certificate, such as a signature by another authority of the same name, it may say once more when
 * the connection is first read, and end it: the client is to hear of the certificate, then, and of no request that it never sent.
 */
function doubtBehind({ code }: NodeJS.ErrnoException, socket: Duplex): ApiError | undefined {
  if (code?.startsWith('ERR_SSL_') !== true || !(socket instanceof Socket)) return undefined
  const doubt = doubtOf(socket)()
  return doubt === undefined ? undefined : new ApiError('unauthorized', doubt)
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

/** Law: what was asked before the fault gets its own answer first; then comes that of the fault, and the end of the connection. */
function refuse(socket: Duplex, error: ApiError, latest: Exchange | undefined): void {
  if (!socket.writable) socket.destroy()
  else if (latest === undefined) write(socket, error)
  else if (latest.request.complete) whenAnswered(latest, () => write(socket, error))
  // The fault is in the body of the latest: it is what the answer is to, if there is none yet.
  else if (latest.response.headersSent) whenAnswered(latest, () => socket.end(() => socket.destroy()))
  else {
    send(latest.response, errorAnswer(latest.request, error), true)
    // Node tells nobody of the end of a request that was answered before it was complete.
    socket.once('close', () => latest.request.destroy())
  }
}

function whenAnswered({ response }: Exchange, then: () => void): void {
  if (response.writableFinished) then()
  else response.once('finish', then)
}

/** Straight to the socket, as there is no request that could be answered. */
function write(socket: Duplex, error: ApiError): void {
  // Law: behind an answer that ends the connection there is nothing more.
  if (!socket.writable) return
  const body = errorBody(error)
  const headers = [...errorHeaders(error), 'content-length', String(Buffer.byteLength(body)), 'connection', 'close']
  let head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n`
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at] ?? ''}: ${headers[at + 1] ?? ''}\r\n`
  socket.end(`${head}\r\n${body}`, () => socket.destroy())
}
