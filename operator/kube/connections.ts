import { Agent as HttpAgent, type AgentOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Identity, TlsMaterial } from './credentials.ts'
import { TransportError } from './errors.ts'

/** Calls end soon; streams (watches, logs) hold a connection each. */
export type Purpose = 'call' | 'stream'

export interface Connections {
  /** The pool for this identity. A rotated certificate or a moved server gets new connections; the old ones finish their work. */
  agentFor(identity: Identity, purpose: Purpose): HttpAgent
  close(): void
}

/** Shorter than the 90 s after which an API server closes an idle connection, so that we never write into one that is closing. */
const IDLE_MS = 60_000
/** The kernel probes silent connections, which a NAT or a load balancer forgets. */
const PROBE_AFTER_MS = 30_000

interface Bounds {
  readonly maxSockets: number
  readonly maxStreams: number
}

interface Pool {
  readonly fingerprint: string
  readonly agents: Readonly<Record<Purpose, HttpAgent>>
}

/** Pools of kept-alive connections, bounded for each purpose. */
export function createConnections(bounds: Bounds): Connections {
  let pool: Pool | undefined
  let isClosed = false
  const fingerprints = new WeakMap<Identity, string>()

  function fingerprintOf(identity: Identity): string {
    const known = fingerprints.get(identity) ?? fingerprint(identity)
    fingerprints.set(identity, known)
    return known
  }

  return {
    agentFor(identity, purpose) {
      if (isClosed) throw new TransportError('aborted', 'the transport is closed')
      const wanted = fingerprintOf(identity)
      if (pool?.fingerprint !== wanted) {
        // First, as it fails when the identity cannot be used: the pool that there is then stays as it was.
        const agents = agentsOf(identity, bounds)
        retire(pool)
        pool = { fingerprint: wanted, agents }
      }
      return pool.agents[purpose]
    },
    close() {
      isClosed = true
      pool?.agents.call.destroy()
      pool?.agents.stream.destroy()
    },
  }
}

function agentsOf({ server, tls, proxyUrl }: Identity, { maxSockets, maxStreams }: Bounds): Pool['agents'] {
  const common: AgentOptions & { proxyEnv?: Record<string, string> } = {
    keepAlive: true,
    keepAliveMsecs: PROBE_AFTER_MS,
    scheduling: 'lifo',
    timeout: IDLE_MS,
    ...(proxyUrl !== undefined && { proxyEnv: proxyEnv(proxyUrl) }),
  }
  // Certificates are read once: an agent that has them, and no context, reads them for each connection, and compares them whole for each request.
  const { ca, cert, key, ...peer } = tls
  const secure = server.protocol === 'https:' ? { ...peer, secureContext: contextOf({ ca, cert, key }) } : undefined
  const agent = (most: number) => {
    const options = { ...common, maxSockets: most, maxFreeSockets: most }
    return secure === undefined ? new HttpAgent(options) : new HttpsAgent({ ...options, ...secure })
  }
  return { call: agent(maxSockets), stream: agent(maxStreams) }
}

function contextOf(certificates: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(certificates)
  } catch (error) {
    throw new TransportError('connection', `the certificates cannot be read: ${(error as Error).message}`, error)
  }
}

function proxyEnv(proxyUrl: string): Record<string, string> {
  if (!proxyUrl.startsWith('http')) {
    throw new TransportError('connection', `proxy-url ${proxyUrl} is not supported: only http and https proxies are`)
  }
  return { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl }
}

/** Idle connections end now, busy ones when their answer is complete. */
function retire(pool: Pool | undefined): void {
  for (const each of Object.values(pool?.agents ?? {})) {
    each.maxFreeSockets = 0
    for (const sockets of Object.values(each.freeSockets)) sockets?.forEach((socket) => socket.destroy())
  }
}

function fingerprint({ server, tls, proxyUrl }: Identity): string {
  const { ca, cert, key, servername, rejectUnauthorized } = tls satisfies TlsMaterial
  return JSON.stringify([server.origin, proxyUrl, servername, rejectUnauthorized, ...[ca, cert, key].map(String)])
}
