/** For tests only: a Secret as the kubelet mounts it, and clients that have certificates or none. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Authority } from '../../../operator/kube/test-certificates.ts'

export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface MountedSecret {
  readonly dir: string
  /** As flags name them. */
  readonly files: { readonly certFile: string; readonly keyFile: string }
  readonly clientCaFile: string
  /** Everything at once, behind a symbolic link. */
  readonly swap: (pair: Pair, ca?: string) => void
  readonly remove: () => void
}

export function mountSecret(pair: Pair, ca?: string): MountedSecret {
  const dir = mkdtempSync(join(tmpdir(), 'penstock-tls-'))
  let version = 0
  const files = { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key') }
  const swap = ({ cert, key }: Pair, authority?: string) => {
    const data = `..${(version += 1)}`
    mkdirSync(join(dir, data))
    writeFileSync(join(dir, data, 'tls.crt'), cert)
    writeFileSync(join(dir, data, 'tls.key'), key)
    if (authority !== undefined) writeFileSync(join(dir, data, 'ca.crt'), authority)
    symlinkSync(data, join(dir, '..new'))
    renameSync(join(dir, '..new'), join(dir, '..data'))
  }
  swap(pair, ca)
  for (const name of ['tls.crt', 'tls.key', ...(ca === undefined ? [] : ['ca.crt'])]) {
    symlinkSync(`..data/${name}`, join(dir, name))
  }
  return { dir, files, clientCaFile: join(dir, 'ca.crt'), swap, remove: () => rmSync(dir, { recursive: true }) }
}

export interface SecureReply {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
  /** Common name of the server's certificate. */
  readonly server: string
}

/** @param body posted as JSON, if there is one */
export function askSecurely(url: string, options: RequestOptions, body?: unknown): Promise<SecureReply> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        agent: false,
        ...options,
        ...(body !== undefined && { method: 'POST' }),
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...options.headers },
      },
      (response) => {
        const { subject } = (response.socket as TLSSocket).getPeerCertificate()
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, server: String(subject?.CN) })
        })
      },
    )
    call.on('error', reject)
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** A certificate for the address that test servers listen on, by its common name. */
export function forServer(authority: Authority): Promise<Pair> {
  return authority.issue('127.0.0.1')
}
