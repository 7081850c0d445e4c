import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

export interface HealthServerOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly registry: Registry
  /** True while the process works; false makes the kubelet restart it. */
  readonly isLive: () => boolean
  /** What keeps this replica from work, in a few words; nothing when it could work. Who waits for another's lease is ready, too. */
  readonly whyNotReady: () => string | undefined
}

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/** Serves `/livez`, `/readyz` and `/metrics`, and nothing else. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '/', response, options)
  })
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  server.maxConnections = 128
  await listen(server, options)
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, { host, port }: HealthServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

async function answer(url: string, response: ServerResponse, options: HealthServerOptions): Promise<void> {
  const { registry, isLive, whyNotReady } = options
  const say = (trouble: string | undefined) =>
    response
      .writeHead(trouble === undefined ? 200 : 503, { 'content-type': 'text/plain' })
      .end(trouble === undefined ? 'ok\n' : `not ok: ${trouble}\n`)
  switch (url.split('?')[0]) {
    case '/livez':
      say(isLive() ? undefined : 'it hangs')
      return
    case '/readyz':
      say(whyNotReady())
      return
    case '/metrics':
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
      return
    default:
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found; try /livez, /readyz or /metrics\n')
  }
}
