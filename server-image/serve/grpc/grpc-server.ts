/**
 * The gRPC port: HTTP/2, without TLS as meshes and clients in the cluster speak it, or with it.
 *
 * A gRPC client keeps one connection for its life, so the server tells it to go: a GOAWAY lets every call on its way end, and the client
 * makes a new connection, to whichever pod the Service picks then. The GOAWAY names the last call that the server saw; later ones are
 * made again by the client, on the new connection (RFC 9113, 6.8; gRPC calls it a transparent retry).
 */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node'
import type { DrainTiming } from '../drain.ts'
import { CountedBody } from './counted-body.ts'
import { refusal } from './failure.ts'
import type { BodyBudget } from '../http/body-budget.ts'
import { MAX_HEADER_BYTES, type HttpLimits } from '../http/limits.ts'
import { acceptedBy } from '../tls/accepted.ts'
import { doubtOf, type Doubt } from '../tls/proof.ts'
import type { TlsIdentity } from '../tls/tls-identity.ts'

export interface GrpcServerOptions {
  readonly services: ConnectRouter
  /** Of all message bytes in memory, those of the REST port included. */
  readonly budget: BodyBudget
  /** Of a message to the model. */
  readonly maxBodyBytes: number
  readonly limits: HttpLimits
  /** Says why a call may not be made; undefined when it may. Without it every call may. */
  readonly refusalOf?: ((call: GrpcCaller) => string | undefined) | undefined
  /** With it the port speaks TLS, and nothing else. */
  readonly tls?: TlsIdentity | undefined
  /** Whether clients are to go elsewhere for their next call. */
  readonly isClosing: () => boolean
  readonly onInternalError: (error: unknown) => void
}

/** What is known of who makes a call. */
export interface GrpcCaller {
  readonly authorization: string | undefined
  /** Why the connection's certificate proves nothing, if it does not. */
  readonly doubt: string | undefined
}

const MAX_STREAMS_PER_CONNECTION = 128
/** What a client may send on one call before it is read: it is in memory, and Node counts it to no connection. */
const CALL_WINDOW_BYTES = 64 * 1024
const CONNECTION_WINDOW_BYTES = 1024 * 1024
const CHECK_EVERY_MS = 100
/** Clients may keep a connection for their life; one that has long been silent connects anew. */
const IDLE_MS = 30 * 60_000
/** After its answer, a client has so long to end its message. */
const LINGER_MS = 200
const MODEL_INFER = '/inference.GRPCInferenceService/ModelInfer'

/** What needs neither token nor certificate: it tells nobody anything but whether the server lives. */
const OPEN = /^\/(inference\.GRPCInferenceService\/(ServerLive|ServerReady)|grpc\.health\.v1\.Health\/\w+)$/

type Handlers = ReadonlyMap<string, ConnectRouter['handlers'][number]>

interface Connection {
  /** On their way. */
  calls: number
  /** When one was last made or answered. */
  activeAt: number
  readonly doubt: Doubt
}

export class GrpcServer {
  readonly #options: GrpcServerOptions
  readonly #handlers: Handlers
  readonly #server: Http2Server | Http2SecureServer
  readonly #accepted: ReadonlySet<Socket>
  readonly #sessions = new Map<Http2Session, Connection>()
  #lastArrival = -Infinity

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#handlers = new Map(options.services.handlers.map((handler) => [handler.requestPath, handler]))
    const { limits, tls } = options
    const settings = {
      settings: {
        maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION,
        maxHeaderListSize: MAX_HEADER_BYTES,
        initialWindowSize: CALL_WINDOW_BYTES,
      },
      unknownProtocolTimeout: limits.headersTimeoutMs,
    }
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse) => this.#take(request, response)
    this.#server =
      tls === undefined
        ? createServer(settings, serve)
        : tls.follow(createSecureServer({ ...settings, ...tls.serverOptions(limits.headersTimeoutMs) }, serve))
    this.#accepted = acceptedBy(this.#server)
    this.#server.maxConnections = options.limits.maxConnections
    this.#server.on('session', (session) => {
      this.#sessions.set(session, { calls: 0, activeAt: performance.now(), doubt: doubtOf(session.socket) })
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
      // Whoever says nothing takes a place from others.
      const silent = setTimeout(() => session.destroy(), options.limits.headersTimeoutMs)
      session.once('stream', () => clearTimeout(silent)).once('close', () => clearTimeout(silent))
      session.setTimeout(IDLE_MS, () => session.close())
      session.once('close', () => this.#sessions.delete(session))
      // A connection that breaks is the client's affair.
      session.on('error', () => session.destroy())
    })
    this.#server.on('sessionError', () => undefined)
  }

  /** @returns where it listens. Rejects when it cannot. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    return this.#server.address() as AddressInfo
  }

  /** Resolves when every connection is closed: true if no call had to be cut off. */
  async drain({ graceMs, limitMs }: DrainTiming): Promise<boolean> {
    const startedAt = performance.now()
    for (const session of this.#sessions.keys()) session.close()
    for (;;) {
      const now = performance.now()
      // Connections that came since, and made no call that would have told them to go.
      for (const [session, { calls, activeAt }] of this.#sessions) {
        if (calls === 0 && now - activeAt >= graceMs) session.close()
      }
      const nobodyCame = now - Math.max(startedAt, this.#lastArrival) >= graceMs
      const nobodyIsHere = this.#sessions.size === 0 && this.#accepted.size === 0
      if ((nobodyCame && nobodyIsHere) || now - startedAt >= limitMs) return this.close()
      await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS))
    }
  }

  /** Closes everything at once; true if no call was cut off. */
  close(): boolean {
    this.#server.close()
    let lostNone = true
    for (const [session, { calls }] of this.#sessions) {
      lostNone &&= calls === 0
      session.destroy()
    }
    for (const socket of this.#accepted) socket.destroy()
    return lostNone
  }

  /** Counts a call on its connection until it is over. */
  #begin({ stream }: Http2ServerRequest, budgeted: CountedBody): void {
    const now = performance.now()
    this.#lastArrival = now
    const { session } = stream
    const connection = session === undefined ? undefined : this.#sessions.get(session)
    if (connection !== undefined) {
      connection.calls += 1
      connection.activeAt = now
    }
    // Whatever becomes of the call, its stream is closed at its end.
    stream.once('close', () => {
      budgeted.giveBack()
      if (connection !== undefined) {
        connection.calls -= 1
        connection.activeAt = performance.now()
      }
      if (this.#options.isClosing()) session?.close()
    })
  }

  /**
   * Law: a call that is taken back as soon as it is made costs next to nothing (rapid reset, CVE-2023-44487). What comes with it is read in
   * the same turn of the loop, so it is looked at in the next one.
   */
  #take(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const body = new CountedBody(this.#options.budget)
    this.#begin(request, body)
    setImmediate(() => {
      if (request.stream.closed) readRest(request)
      else void this.#serve(request, response, body)
    })
  }

  async #serve(request: Http2ServerRequest, response: Http2ServerResponse, body: CountedBody): Promise<void> {
    request.stream.once('finish', () => leave(request))
    const limit = new TimeLimit(request, response, this.#options.limits.requestTimeoutMs)
    const { handlers, refused } = this.#admit(request)
    if (handlers === undefined) return refuse(request, response, refused)
    try {
      const universal = universalRequestFromNodeRequest(request, response, undefined, undefined)
      const bytes = universal.body as AsyncIterable<Uint8Array>
      const counted = request.url === MODEL_INFER ? body.whole(bytes, this.#options.maxBodyBytes) : body.passing(bytes)
      const answer = await handlers({ ...universal, body: limit.untilEnd(counted) })
      const isStream = handlers.method.methodKind !== 'unary'
      const told = answer.body === undefined || isStream ? answer.body : limit.fromFirst(answer.body)
      await universalResponseToNodeResponse({ ...answer, ...(told !== undefined && { body: told }) }, response)
    } catch (error) {
      // A client that leaves takes its stream along, and nobody is there to be told.
      if (!request.stream.destroyed) this.#options.onInternalError(error)
      request.stream.destroy()
    }
  }

  #admit({ url, headers: { authorization }, stream: { session } }: Http2ServerRequest): {
    handlers?: ConnectRouter['handlers'][number]
    refused: ConnectError
  } {
    const handlers = this.#handlers.get(url)
    if (handlers === undefined)
      return { refused: refusal(`There is no method ${url.slice(0, 200)}.`, Code.Unimplemented) }
    const connection = session === undefined ? undefined : this.#sessions.get(session)
    const doubt = connection === undefined ? 'The connection of this call is gone.' : connection.doubt()
    const why = this.#options.refusalOf?.({ authorization, doubt })
    return why === undefined || OPEN.test(url)
      ? { handlers, refused: NONE }
      : { refused: refusal(why, Code.Unauthenticated) }
  }
}

const NONE = new ConnectError('')

/** A client may take so long to send its message, and again to read its answer; how long the answer takes is not its fault. */
class TimeLimit {
  readonly #end: () => void
  readonly #ms: number
  #timer: NodeJS.Timeout

  constructor(request: Http2ServerRequest, response: Http2ServerResponse, ms: number) {
    const { stream } = request
    this.#end = () => {
      // Who is waiting for an answer must be told: clients do not take a stream that is closed without a word for an end.
      if (response.headersSent) stream.close(constants.NGHTTP2_CANCEL)
      else refuse(request, response, refusal(`The message was not here within ${ms} ms.`, Code.DeadlineExceeded))
      readRest(request)
    }
    this.#ms = ms
    this.#timer = setTimeout(this.#end, ms).unref()
    stream.once('close', () => clearTimeout(this.#timer))
  }

  async *untilEnd(message: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    yield* message
    clearTimeout(this.#timer)
  }

  async *fromFirst(answer: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of answer) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(this.#end, this.#ms).unref()
      yield chunk
    }
  }
}

/**
 * What is left of a request that is answered already is not wanted (RFC 9113, 8.1), but its stream may only be closed once the trailers
 * are on their way, which Node tells nobody.
 */
function leave(request: Http2ServerRequest): void {
  readRest(request)
  if (request.complete) return
  const { stream } = request
  const closing = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS).unref()
  stream.once('close', () => clearTimeout(closing))
}

/**
 * Reads what is left of a request that is answered, past whoever stopped reading it: a stream with bytes in it never closes, and what was
 * taken for it would never be given back.
 */
function readRest({ stream }: Http2ServerRequest): void {
  stream.removeAllListeners('data')
  stream.resume()
}

/**
 * A status without a message: it comes in one block of headers that ends the stream (gRPC over HTTP/2, "Trailers-Only"). Headers that are
 * written before the end do not, and grpcio takes the empty frame behind them for a stream that was removed.
 */
function refuse(request: Http2ServerRequest, response: Http2ServerResponse, { code, rawMessage }: ConnectError): void {
  request.resume()
  response.statusCode = 200
  response.setHeader('content-type', 'application/grpc+proto')
  response.setHeader('grpc-status', String(code))
  response.setHeader('grpc-message', encodeURIComponent(rawMessage))
  response.end()
}
