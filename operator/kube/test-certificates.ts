import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000

/** A certificate authority for tests, valid for an hour. */
export interface Authority {
  /** PEM. */
  readonly certificate: string
  /** A certificate for an IP address or a user, with its key. */
  issue(name: string): Promise<{ cert: string; key: string }>
}

export async function makeAuthority(commonName = 'test-ca'): Promise<Authority> {
  x509.cryptoProvider.set(webcrypto)
  const validity = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) }
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    serialNumber: '01',
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    ...validity,
  })
  let serial = 1
  return {
    certificate: own.toString('pem'),
    async issue(name) {
      const issued = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
      const isAddress = /^[\d.]+$/.test(name)
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: own.subject,
        serialNumber: `0${++serial}`,
        signingAlgorithm: ALGORITHM,
        publicKey: issued.publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: isAddress ? 'ip' : 'dns', value: name }])],
        ...validity,
      })
      const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', issued.privateKey)
      return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
    },
  }
}
