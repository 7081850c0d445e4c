/**
 * Passes requests on to the API server, and lets tests see and disturb them on the way, as the sandbox's API server does by itself.
 * Who asks is left to the API server: tokens go through, so clients with certificates must not come this way.
 */
import { createServer, Agent, request as httpsRequest } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fault, Faults, OnRequest, RequestFacts } from '../../sandbox/apiserver/http/faults.ts'
import { isTrue } from '../../sandbox/apiserver/handlers/watch.ts'
import { verbOf } from '../../sandbox/apiserver/http/router.ts'
import { parseResourcePath } from '../../sandbox/apiserver/http/resource-path.ts'
import type { ServingCertificate } from '../../sandbox/apiserver/certificates.ts'

export interface TapOptions {
  readonly host: string
  readonly port: number
  readonly certificate: ServingCertificate
  /** Of the API server. */
  readonly target: string
  readonly faults?: Faults
  readonly onRequest?: OnRequest
}

export interface Tap {
  readonly url: string
  close(): Promise<void>
}

const REASONS: Readonly<Record<number, string>> = {
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}
/** RFC 9110, 7.6.1: of one connection only. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te', 'trailer'])

export async function startTap(options: TapOptions): Promise<Tap> {
  const { host, port, certificate } = options
  const agent = new Agent({ ca: certificate.caPem, keepAlive: true })
  const server = createServer({
    key: certificate.keyPem,
    cert: certificate.certPem,
    keepAlive: true,
    requestTimeout: 0,
  })
  server.on('request', (request, response) => serve(options, agent, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve())
  })
  return {
    url: `https://${host}:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

function serve(options: TapOptions, agent: Agent, request: IncomingMessage, response: ServerResponse): void {
  const facts = factsOf(request)
  const { onRequest } = options
  if (onRequest)
    response.once('close', () => onRequest({ ...facts, code: response.headersSent ? response.statusCode : 0 }))
  const fault = options.faults?.(facts)
  if (fault === 'drop') request.socket.destroy()
  else if (fault !== undefined) refuse(request, response, fault)
  else passOn(options.target, agent, request, response)
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, retryAfterSeconds }: Exclude<Fault, 'drop'>,
) {
  request.resume()
  const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }
  const reason = REASONS[status] ?? 'InternalError'
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'injected fault', code: status, reason }
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  })
  response.end(JSON.stringify({ ...body, ...details }))
}

/** A connection that breaks on one side breaks on the other. */
function passOn(target: string, agent: Agent, request: IncomingMessage, response: ServerResponse): void {
  const onward = httpsRequest(new URL(request.url ?? '/', target), {
    agent,
    method: request.method ?? 'GET',
    headers: endToEnd(request.headers),
  })
  onward.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
    response.flushHeaders()
    answer.pipe(response)
    answer.once('close', () => {
      if (!answer.complete) response.destroy()
    })
  })
  onward.once('error', () => response.destroy())
  response.once('close', () => onward.destroy())
  request.pipe(onward)
}

function endToEnd(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)))
}

function factsOf(request: IncomingMessage): RequestFacts {
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'https://localhost')
  const method = request.method ?? 'GET'
  const resource = parseResourcePath(path)
  const { group = '', plural = '', name = '', namespace = '', subresource = '' } = resource ?? {}
  return {
    method,
    path,
    query,
    verb: (resource && verbOf(method, name, isTrue(query.get('watch')))) ?? 'other',
    resource: group === '' ? plural : `${plural}.${group}`,
    subresource,
    namespace,
    name,
    userAgent: request.headers['user-agent'] ?? '',
  }
}
