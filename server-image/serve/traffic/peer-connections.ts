/** Kept-alive connections to a peer revision's Service, over TLS if that is what it speaks. */
import type { X509Certificate } from 'node:crypto'
import type { PeerCertificate, SecureContext } from 'node:tls'
import type { Pool, buildConnector } from 'undici'
import type { PlanPeer } from '../../../protocol/plan.ts'
import { isOurs } from '../tls/same-name.ts'

/** What this server itself speaks TLS with. */
export interface PeerIdentity {
  /** Another object after each change. */
  readonly pair: { readonly asClient: SecureContext; readonly leaf: X509Certificate }
}

/**
 * Shorter than the time that a draining server leaves idle connections open, so that it is always the asking side that closes
 * them and no request meets a closing connection.
 */
const IDLE_MS = 2_000
const CONNECT_TIMEOUT_MS = 800
const MAX_CONNECTIONS = 256
/** New connections go to whichever pod the Service picks: without an end to the old ones, pods that came later would get none. */
const MAX_REQUESTS_PER_CONNECTION = 2_000

export class PeerConnections {
  readonly #to: PlanPeer
  readonly #identity: PeerIdentity | undefined
  #pair: PeerIdentity['pair'] | undefined
  /** Its code is loaded with the first peer: most servers never have one. */
  #pool: Promise<Pool>

  constructor(to: PlanPeer, identity?: PeerIdentity) {
    this.#to = to
    this.#identity = to.scheme === 'https' ? identity : undefined
    this.#pair = this.#identity?.pair
    this.#pool = this.#open()
  }

  /** With the certificate that is in force now; requests on their way come back over the connections they went by. */
  get pool(): Promise<Pool> {
    const pair = this.#identity?.pair
    if (pair !== this.#pair) {
      this.close()
      this.#pair = pair
      this.#pool = this.#open()
    }
    return this.#pool
  }

  /** Lets requests on their way come back first. */
  close(): void {
    void this.#pool.then((pool) => pool.close()).catch(() => undefined)
  }

  /** Whoever asks is told when there is none; nobody else is to die of it. */
  #open(): Promise<Pool> {
    const pool = this.#connect()
    pool.catch(() => undefined)
    return pool
  }

  async #connect(): Promise<Pool> {
    const { address, scheme = 'http' } = this.#to
    const tls = scheme === 'https' ? this.#tls() : undefined
    const { Pool } = await import('./pool.ts')
    return new Pool(`${scheme}://${address}`, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      maxRequestsPerClient: MAX_REQUESTS_PER_CONNECTION,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...tls },
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /**
   * Law: what came to us over TLS goes on only to one whose certificate our authorities vouch for and which bears a name that ours
   * bears, as all revisions answer for the same names; a cluster's IP is in no certificate. What came to us in plain text needs no
   * better secret than that, and we have no authority to ask.
   */
  #tls(): buildConnector.BuildOptions {
    const pair = this.#pair
    if (pair === undefined) return { rejectUnauthorized: false, maxCachedSessions: 0 }
    return {
      secureContext: pair.asClient,
      checkServerIdentity: (_address: string, { raw }: PeerCertificate) => isOurs(pair.leaf, raw),
      maxCachedSessions: 0,
    }
  }
}
