/** The part of a kubelet's own HTTPS API that `kubectl logs` needs: an API server reads container logs there, and proves who it is. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { LogsError, type PodLogOptions } from './pod-logs.ts'

export interface LogServerOptions {
  /** 0 takes any free port. */
  readonly port: number
  readonly certPem: string
  readonly keyPem: string
  /** Only clients with a certificate of this authority are answered. */
  readonly clientCaPem: string
}

export interface LogServer {
  readonly port: number
  close(): Promise<void>
}

type ReadLogs = (namespace: string, pod: string, options: PodLogOptions) => AsyncIterable<Uint8Array>

const PATH = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/

export async function startLogServer(host: string, options: LogServerOptions, logs: ReadLogs): Promise<LogServer> {
  const server = createServer({
    key: options.keyPem,
    cert: options.certPem,
    ca: options.clientCaPem,
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.on('request', (request, response) => void serve(request, response, logs))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, () => resolve())
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function serve(request: IncomingMessage, response: ServerResponse, logs: ReadLogs): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://localhost')
  const [, namespace, pod, container] = (PATH.exec(url.pathname) ?? []).map(decodeURIComponent)
  if (request.method !== 'GET' || namespace === undefined || pod === undefined || container === undefined)
    return answer(response, 404, 'there is only GET /containerLogs/NAMESPACE/POD/CONTAINER')
  const closing = new AbortController()
  response.once('close', () => closing.abort())
  try {
    const chunks = logs(namespace, pod, { container, ...logOptions(url.searchParams), signal: closing.signal })
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.flushHeaders()
    await pipeline(chunks, response)
  } catch (error) {
    if (response.headersSent) response.destroy()
    else if (error instanceof LogsError) answer(response, error.code, error.message)
    else answer(response, 500, (error as Error).message)
  }
}

function answer(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain' })
  response.end(text)
}

/** The query is a PodLogOptions of the API, as the API server sends it on. */
function logOptions(query: URLSearchParams): PodLogOptions {
  const flag = (name: string) => query.get(name) === 'true'
  const number = (name: string) => (query.has(name) ? Number(query.get(name)) : undefined)
  const [tailLines, limitBytes, sinceSeconds] = [number('tailLines'), number('limitBytes'), number('sinceSeconds')]
  const since = query.get('sinceTime')
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceSeconds === undefined ? {} : { sinceMs: Date.now() - sinceSeconds * 1000 }),
    ...(since === null ? {} : { sinceMs: Date.parse(since) }),
  }
}
