/**
 * What a server proves itself with, and asks its clients to be proven by. A renewed certificate is for the connections that come then;
 * those that are there go on. What cannot be used changes nothing.
 */
import { constants } from 'node:crypto'
import type { Server, TlsOptions } from 'node:tls'
import { followFiles } from '../access/follow-files.ts'
import { MIN_VERSION, pathsOf, readTlsFiles, type TlsFiles, type TlsPair } from './tls-files.ts'

export interface TlsIdentityOptions {
  readonly files: TlsFiles
  /** Told when another certificate is in force. */
  readonly onChange: (message: string) => void
  /** Told of what somebody should look at: a change that cannot be taken, a certificate that will not do for everything. */
  readonly onTrouble: (message: string) => void
}

export class TlsIdentity {
  readonly #options: TlsIdentityOptions
  readonly #stop: () => void
  readonly #servers = new Set<Server>()
  #pair: TlsPair

  /** @throws Error when the files cannot be used, naming which and why */
  constructor(options: TlsIdentityOptions) {
    this.#options = options
    const { files, onTrouble } = options
    const { content, stop } = followFiles({
      paths: pathsOf(files),
      read: () => readTlsFiles(files),
      onChange: (pair) => this.#take(pair),
      onBadChange: (message) => onTrouble(`${message}; the certificate that was in force still is`),
    })
    this.#pair = content
    this.#stop = stop
    content.notes.forEach(onTrouble)
  }

  /** In force now; another object after each change. */
  get pair(): TlsPair {
    return this.#pair
  }

  get asksForCertificates(): boolean {
    return this.#pair.clientCa !== undefined
  }

  /** What a server is to be created with. @param handshakeTimeoutMs a handshake that takes longer ends its connection */
  serverOptions(handshakeTimeoutMs: number): TlsOptions {
    return {
      ...this.#context(),
      handshakeTimeout: handshakeTimeoutMs,
      requestCert: this.asksForCertificates,
      // Law: who has no good certificate may still ask what the platform asks; the guards see to the rest.
      rejectUnauthorized: false,
    }
  }

  /** Keeps a server at what is in force, until it closes. Handshakes that fail end their connections. */
  follow<T extends Server>(server: T): T {
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    server.removeAllListeners('tlsClientError')
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  close(): void {
    this.#stop()
  }

  #context() {
    const { cert, key, clientCa } = this.#pair
    return {
      cert,
      key,
      ...(clientCa !== undefined && { ca: clientCa }),
      minVersion: MIN_VERSION,
      secureOptions:
        constants.SSL_OP_NO_RENEGOTIATION |
        // Law: who resumes a session proves nothing anew, not even to an authority that was replaced; so nobody does.
        (clientCa === undefined ? 0 : constants.SSL_OP_NO_TICKET),
    } as const
  }

  #take(pair: TlsPair): void {
    const { onChange, onTrouble } = this.#options
    this.#pair = pair
    for (const server of this.#servers) server.setSecureContext(this.#context())
    onChange(`a certificate that is valid until ${pair.leaf.validTo} is in force now`)
    pair.notes.forEach(onTrouble)
  }
}
