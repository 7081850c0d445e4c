/** Certificate authorities that live as long as one API server: EC P-256, made anew at each start. */
import 'reflect-metadata'
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface ServingCertificate {
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
}

/** What a certificate says: a server proves its addresses, a client its user name (`commonName`) and group (`organization`). */
export interface CertificateSubject {
  readonly commonName: string
  readonly organization?: string
  readonly usage: 'server' | 'client'
  /** IP addresses. */
  readonly addresses?: readonly string[]
  readonly names?: readonly string[]
}

export interface CertificateAuthority {
  readonly caPem: string
  issue(subject: CertificateSubject): Promise<ServingCertificate>
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const VALID_DAYS = 365
const SERIAL_BYTES = 8

type Keys = webcrypto.CryptoKeyPair

/** Makes a CA and a server certificate that it signed for the given addresses and names. */
export async function makeServingCertificate(
  addresses: readonly string[],
  names: readonly string[],
): Promise<ServingCertificate> {
  const authority = await makeAuthority('penstock-sandbox-ca')
  return authority.issue({ commonName: 'kube-apiserver', usage: 'server', addresses, names })
}

/** Makes a self-signed authority. Its key stays in this process. */
export async function makeAuthority(commonName: string): Promise<CertificateAuthority> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${commonName}`,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { caPem: certificate.toString('pem'), issue: (subject) => issue(certificate, keys, subject) }
}

async function issue(
  ca: x509.X509Certificate,
  caKeys: Keys,
  { commonName, organization, usage, addresses = [], names = [] }: CertificateSubject,
): Promise<ServingCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const alternatives = [
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
    ...names.map((value) => ({ type: 'dns' as const, value })),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(SERIAL_BYTES).toString('hex')}`,
    subject: [...(organization === undefined ? [] : [{ O: [organization] }]), { CN: [commonName] }],
    issuer: ca.subject,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const caPem = ca.toString('pem')
  const certPem = certificate.toString('pem')
  if (!new X509Certificate(certPem).checkIssued(new X509Certificate(caPem)))
    throw new Error(`the certificate of ${commonName} was not issued by its CA`)
  return { caPem, certPem, keyPem: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + VALID_DAYS * DAY_MS) }
}
