/** The HTTP side: who asks, what form the answer has, watches on open sockets, faults and audit. No error of a request ends the server. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { timingSafeEqual } from 'node:crypto'
import type { Cluster } from '../cluster.ts'
import { ApiError, internalError, qualified, unauthorized } from '../status.ts'
import type { BuiltinTypes } from '../structure/builtin-types.ts'
import { AnswerWriter } from './answer-writer.ts'
import { mediaTypeOf, readBody } from './body.ts'
import type { Fault, Faults, OnRequest, RequestFacts } from './faults.ts'
import { PROTOBUF, protobufToJson } from './protobuf.ts'
import { targetOf, type Router, type Target } from './router.ts'

export interface ConnectionsOptions {
  readonly cluster: Cluster
  readonly router: Router
  readonly token: string
  readonly types: BuiltinTypes
  readonly bookmarkIntervalMs: number
  readonly faults: Faults | undefined
  readonly onRequest: OnRequest | undefined
}

const ADMIN = 'kubernetes-admin'
const ANONYMOUS = 'system:anonymous'
const FAULT_REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #writer: AnswerWriter

  constructor(options: ConnectionsOptions) {
    this.#options = options
    this.#writer = new AnswerWriter(options.cluster, options.bookmarkIntervalMs)
  }

  close(): void {
    this.#writer.close()
  }

  /** Serves one request to its end. Never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://localhost')
    const method = request.method ?? 'GET'
    const raw = { method, path: url.pathname, query: url.searchParams }
    const target = targetOf(this.#options.cluster, raw)
    const facts = factsOf(request, target, raw)
    const { onRequest } = this.#options
    if (onRequest)
      response.once('close', () => onRequest({ ...facts, code: response.headersSent ? response.statusCode : 0 }))
    try {
      await this.#handle(request, response, { ...raw, target, facts })
    } catch (error) {
      this.#fail(response, error)
    }
  }

  async #handle(
    request: IncomingMessage,
    response: ServerResponse,
    {
      target,
      facts,
      ...raw
    }: { method: string; path: string; query: URLSearchParams; target: Target; facts: RequestFacts },
  ): Promise<void> {
    const user = this.#authenticate(request)
    const sent = await readBody(request)
    const isProtobuf = mediaTypeOf(request) === PROTOBUF && sent.length > 0
    const body = isProtobuf ? Buffer.from(JSON.stringify(protobufToJson(sent, this.#options.types))) : sent
    const fault = this.#options.faults?.(facts)
    if (fault === 'drop') {
      request.socket.destroy()
      return
    }
    if (fault) throw faultError(fault)
    const abort = new AbortController()
    response.once('close', () => abort.abort())
    const warnings: string[] = []
    const routed = this.#options.router.route(
      {
        ...raw,
        headers: request.headers,
        user,
        body,
        mediaType: isProtobuf ? 'application/json' : mediaTypeOf(request),
        signal: abort.signal,
        warn: (warning) => void warnings.push(warning),
      },
      target,
    )
    if (warnings.length > 0) response.setHeader('Warning', [...new Set(warnings)].map(warningHeader))
    await this.#writer.write(response, routed, {
      accept: request.headers.accept,
      query: raw.query,
      method: raw.method,
      signal: abort.signal,
    })
  }

  #authenticate(request: IncomingMessage): string {
    const { authorization } = request.headers
    if (authorization === undefined) return ANONYMOUS
    const given = Buffer.from(/^Bearer\s+(.+)$/i.exec(authorization)?.[1]?.trim() ?? '')
    const token = Buffer.from(this.#options.token)
    if (given.length !== token.length || !timingSafeEqual(given, token)) throw unauthorized()
    return ADMIN
  }

  #fail(response: ServerResponse, error: unknown): void {
    const failure = error instanceof ApiError ? error : internalError(error)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const seconds = failure.retryAfterSeconds
    if (seconds !== undefined) response.setHeader('Retry-After', String(seconds))
    if (failure.code === 413) response.setHeader('Connection', 'close')
    this.#writer.sendJson(response, failure.code, JSON.stringify(failure.toStatus()))
  }
}

function faultError(fault: Exclude<Fault, 'drop'>): ApiError {
  const seconds = fault.retryAfterSeconds
  const details = seconds === undefined ? undefined : { retryAfterSeconds: seconds }
  return new ApiError(fault.status, FAULT_REASONS[fault.status] ?? 'InternalError', 'injected fault', details)
}

function factsOf(
  request: IncomingMessage,
  target: Target,
  raw: { method: string; path: string; query: URLSearchParams },
): RequestFacts {
  return {
    ...raw,
    verb: target.verb,
    resource: target.type ? qualified(target.type) : '',
    subresource: target.subresource,
    namespace: target.namespace,
    name: target.name,
    userAgent: request.headers['user-agent'] ?? '',
  }
}

/** RFC 7234: warn-code 299, no agent, quoted text. */
function warningHeader(warning: string): string {
  const text = warning.replaceAll(/[\r\n]+/g, ' ').replaceAll(/["\\]/g, String.raw`\$&`)
  return `299 - "${text}"`
}
