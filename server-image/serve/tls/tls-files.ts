/** A certificate, its key, and the authority of those who ask, as a mounted Secret of type kubernetes.io/tls has them. */
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

export interface TlsFiles {
  /** PEM: the server's certificate, and behind it those that lead to its authority. */
  readonly certFile: string
  /** PEM, not encrypted. */
  readonly keyFile: string
  /** PEM: whoever asks must have a certificate of one of these authorities. Without it everybody may ask. */
  readonly clientCaFile?: string
}

/** What the files held when they were read together, and fitted. */
export interface TlsPair {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** PEM of the clients' authorities, if they must have one. */
  readonly clientCa: string | undefined
  /** To ask another revision's pods with: this certificate, and the authorities that they are trusted by. */
  readonly asClient: SecureContext
  /** Of the server's certificate. */
  readonly leaf: X509Certificate
  /** What an operator of this server should know, although it can be used. */
  readonly notes: readonly string[]
}

/** Where cert-manager, and others after it, put the certificate's own authority. */
const CA_BESIDE = 'ca.crt'
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
export const MIN_VERSION = 'TLSv1.2'

/** Every file that is read. */
export function pathsOf({ certFile, keyFile, clientCaFile }: TlsFiles): string[] {
  const beside = besideOf(certFile)
  return [certFile, keyFile, ...(clientCaFile === undefined ? (existsSync(beside) ? [beside] : []) : [clientCaFile])]
}

/** @throws Error that names the file and says what is wrong with it, but nothing of the key */
export function readTlsFiles({ certFile, keyFile, clientCaFile }: TlsFiles): TlsPair {
  const cert = textOf(certFile)
  const key = textOf(keyFile)
  const chain = certificatesIn(cert, certFile)
  const [leaf] = chain
  if (leaf === undefined) throw new Error(`${certFile} holds no certificate; it must be PEM, as tls.crt of a Secret is`)
  try {
    createSecureContext({ cert, key, minVersion: MIN_VERSION })
  } catch (error) {
    throw new Error(`${certFile} and ${keyFile} are no certificate and its key: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const clientCa = clientCaFile === undefined ? undefined : authoritiesIn(clientCaFile)
  return {
    cert,
    key,
    clientCa,
    asClient: createSecureContext({
      cert,
      key,
      minVersion: MIN_VERSION,
      ca: clientCa === undefined ? authoritiesBeside(certFile, chain) : [clientCa],
      // A certificate that is its own authority, or stands in for one, is trusted for being ours.
      allowPartialTrustChain: clientCa === undefined,
    }),
    leaf,
    notes: notesOn(leaf, certFile, clientCa !== undefined),
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const message = isMissing
      ? `${file} is missing; the Secret that is mounted there has no key ${basename(file)}`
      : `${file} cannot be read: ${(error as Error).message}`
    throw new Error(message, { cause: error })
  }
}

function authoritiesIn(file: string): string {
  const text = textOf(file)
  if (certificatesIn(text, file).length === 0) {
    throw new Error(`${file} holds no certificate of an authority; it must be PEM, as ca.crt of a Secret is`)
  }
  return text
}

function certificatesIn(text: string, file: string): X509Certificate[] {
  return [...text.matchAll(CERTIFICATE)].map(([pem], index) => {
    try {
      return new X509Certificate(pem)
    } catch (error) {
      const message = `certificate ${index + 1} of ${file} cannot be read: ${(error as Error).message}`
      throw new Error(message, { cause: error })
    }
  })
}

/** With no authority named, a peer is trusted as it is by any client: by the system's, by the Secret's own, or for being who we are. */
function authoritiesBeside(certFile: string, chain: readonly X509Certificate[]): string[] {
  const beside = besideOf(certFile)
  return [
    ...getCACertificates('default'),
    ...(existsSync(beside) ? [authoritiesIn(beside)] : []),
    ...chain.map((certificate) => certificate.toString()),
  ]
}

function besideOf(certFile: string): string {
  return join(dirname(certFile), CA_BESIDE)
}

function notesOn(leaf: X509Certificate, file: string, isForClients: boolean): string[] {
  const notes: string[] = []
  if (leaf.validToDate.getTime() <= Date.now()) notes.push(`${file} is no longer valid since ${leaf.validTo}`)
  // Node's types say that this is never absent; a certificate for any purpose has none.
  const purposes = leaf.keyUsage as readonly string[] | undefined
  if (isForClients && purposes !== undefined && !purposes.includes(CLIENT_AUTH)) {
    notes.push(
      `${file} is not for clients (usage "client auth"), so pods of another revision will not take requests from this one`,
    )
  }
  return notes
}
