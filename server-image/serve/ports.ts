/** The ports of the server: REST, and gRPC if it is wanted; both ask the one inference service and leave together. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EVIDENCE_PATH } from '../../protocol/evidence.ts'
import type { ServerMetrics } from '../metrics/server-metrics.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { monitorPages } from '../monitor/pages.ts'
import { allOf, certificateGuard, tokenGuard } from './access/guard.ts'
import type { Tokens } from './access/tokens.ts'
import { Connections, type DrainTiming } from './drain.ts'
import type { GrpcCaller, GrpcServer } from './grpc/grpc-server.ts'
import { createApp } from './http/app.ts'
import { BodyBudget } from './http/body-budget.ts'
import { Exchanges } from './http/exchanges.ts'
import { DirectFront } from './http/direct/direct-front.ts'
import { createHttpServer } from './http/http-server.ts'
import { createListener } from './http/listener.ts'
import { Hold } from './hold.ts'
import { InferenceService } from './inference-service.ts'
import { pagesOf } from './pages.ts'
import { inferenceRoutes } from './routes.ts'
import type { ServerOptions } from './server-options.ts'
import type { ServingState } from './serving-state.ts'
import { doubtOf } from './tls/proof.ts'
import type { TlsIdentity } from './tls/tls-identity.ts'
import type { Traffic } from './traffic/traffic.ts'

export interface PortsOptions {
  readonly options: ServerOptions
  readonly instance: string
  readonly state: ServingState
  readonly metrics: ServerMetrics
  readonly monitor: Monitor
  readonly traffic: Traffic
  readonly tokens: Tokens | undefined
  /** With it both ports speak TLS. */
  readonly tls: TlsIdentity | undefined
}

export interface Ports {
  /** Port of REST. */
  readonly http: number
  /** Port of gRPC; undefined without it. */
  readonly grpc: number | undefined
  /** Resolves when both are closed. */
  readonly closed: Promise<unknown>
  /** Resolves when everybody has been answered: true if no request was cut off. */
  drain(timing: DrainTiming): Promise<boolean>
  /** Closes everything at once. */
  close(): void
}

/** Listens when it resolves. */
export async function openPorts(parts: PortsOptions): Promise<Ports> {
  const { log, host, port, grpcPort } = parts.options
  const common = commonOf(parts)
  const { server, front } = httpServerOf(parts, common)
  const connections = new Connections(server, front)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  const http = (await listen(server, { host, port })).port
  if (grpcPort === undefined) {
    log.info({ host, port: http }, 'listening')
    return {
      http,
      grpc: undefined,
      closed,
      drain: (timing) => connections.drain(timing),
      close: () => void connections.close(),
    }
  }
  const grpcServer = await grpcServerOf(parts, common)
  const grpc = await grpcServer.listen(host, grpcPort).catch((error: unknown) => {
    connections.close()
    throw error
  })
  log.info({ host, port: http, grpcPort: grpc.port }, 'listening')
  return {
    http,
    grpc: grpc.port,
    closed,
    async drain(timing) {
      const lostNone = await Promise.all([connections.drain(timing), grpcServer.drain(timing)])
      return lostNone.every((each) => each)
    },
    close() {
      connections.close()
      grpcServer.close()
    },
  }
}

/** Refused requests must leave room for those that the model has time for. */
const SHARE_OF_BODIES_HELD = 1 / 8

interface Common {
  readonly service: InferenceService
  readonly bodies: { readonly maxBytes: number; readonly budget: BodyBudget }
  readonly isClosing: () => boolean
  readonly onInternalError: (error: unknown) => void
}

function commonOf({ options, state, metrics, monitor, traffic }: PortsOptions): Common {
  const { log, revision, maxBodyBytes, maxInflightBodyBytes } = options
  const onInternalError = (error: unknown) => log.error({ err: error }, 'a request met a fault of the server')
  return {
    service: new InferenceService({
      revision,
      state,
      traffic,
      metrics,
      answers: monitor.answers,
      hold: new Hold(SHARE_OF_BODIES_HELD * maxInflightBodyBytes),
      onInternalError,
    }),
    bodies: { maxBytes: maxBodyBytes, budget: new BodyBudget(maxInflightBodyBytes) },
    isClosing: () => state.isDraining || traffic.isRetired,
    onInternalError,
  }
}

/** Its code is loaded only where it is wanted. */
async function grpcServerOf(
  { options, state, tokens, tls }: PortsOptions,
  { service, bodies, isClosing, onInternalError }: Common,
): Promise<GrpcServer> {
  const [{ GrpcServer }, { grpcServices }] = await Promise.all([
    import('./grpc/grpc-server.ts'),
    import('./grpc/services.ts'),
  ])
  return new GrpcServer({
    services: grpcServices({ ...options, state, service }),
    budget: bodies.budget,
    maxBodyBytes: bodies.maxBytes,
    limits: options.limits,
    refusalOf: grpcRefusals(tokens, tls),
    tls,
    isClosing,
    onInternalError,
  })
}

function grpcRefusals(tokens: Tokens | undefined, tls: TlsIdentity | undefined) {
  return ({ authorization, doubt }: GrpcCaller): string | undefined => {
    if (tls?.asksForCertificates === true && doubt !== undefined) return doubt
    if (tokens === undefined || tokens.accept(authorization)) return undefined
    return 'This server wants the metadata "authorization: Bearer <token>".'
  }
}

interface HttpFront {
  readonly server: Server
  /** Not with TLS: what is read on a socket there is not what a client said. */
  readonly front: DirectFront | undefined
}

function httpServerOf(parts: PortsOptions, common: Common): HttpFront {
  const { options, instance, state, metrics, monitor, traffic, tokens, tls } = parts
  const { service, bodies, isClosing, onInternalError } = common
  const exchanges = new Exchanges(isClosing)
  const routes = inferenceRoutes(options)
  const pages = [
    ...pagesOf({
      ...options,
      evidencePath: EVIDENCE_PATH,
      instance,
      state,
      traffic,
      metrics,
      profile: monitor.profile,
    }),
    ...monitorPages({
      ...options,
      bodies,
      monitor,
      registry: metrics.registry,
      passOn: (request) => traffic.passOn(request),
    }),
  ]
  const routesByPath = new Map([...routes].map(([path, { route }]) => [path, route]))
  const listener = createListener({
    routes: routesByPath,
    service,
    rest: createApp({
      pages,
      inferencePaths: new Map([...routes].map(([path, { summary }]) => [path, summary])),
      isClosing,
      onInternalError,
    }),
    bodies,
    exchanges,
    onInternalError,
  })
  const forTokens = tokens === undefined ? undefined : tokenGuard(tokens)
  const guard = allOf([tls?.asksForCertificates === true ? certificateGuard(doubtOf) : undefined, forTokens])
  const server = createHttpServer({ listener, exchanges, bodies, limits: options.limits, guard, tls })
  if (tls !== undefined) return { server, front: undefined }
  const front = new DirectFront(server, {
    routeOf(head) {
      const route = routesByPath.get(head.target)
      const isWelcome =
        head.bodyBytes <= bodies.maxBytes && forTokens?.({ url: head.target, headers: head.headers }) === undefined
      return isWelcome ? route : undefined
    },
    answer: (route, request) => service.answer(route, request),
    budget: bodies.budget,
    isClosing,
    onInternalError,
    firstRequestMs: options.limits.headersTimeoutMs,
    keepAliveMs: options.limits.keepAliveMs,
  })
  return { server, front }
}

async function listen(server: Server, { host, port }: Pick<ServerOptions, 'host' | 'port'>): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return server.address() as AddressInfo
}
