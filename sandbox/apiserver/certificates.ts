/** One certificate authority and one server certificate per API server, both EC P-256, made anew at each start. */
import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface ServingCertificate {
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const VALID_DAYS = 365

/** Makes a CA and a server certificate that it signed for the given addresses and names. */
export async function makeServingCertificate(
  addresses: readonly string[],
  names: readonly string[],
): Promise<ServingCertificate> {
  x509.cryptoProvider.set(webcrypto)
  const notBefore = new Date(Date.now() - DAY_MS)
  const notAfter = new Date(Date.now() + VALID_DAYS * DAY_MS)
  const caKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=penstock-sandbox-ca',
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '02',
    subject: 'CN=kube-apiserver',
    issuer: ca.subject,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...addresses.map((value) => ({ type: 'ip' as const, value })),
        ...names.map((value) => ({ type: 'dns' as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const caPem = ca.toString('pem')
  const certPem = certificate.toString('pem')
  if (!new X509Certificate(certPem).checkIssued(new X509Certificate(caPem)))
    throw new Error('the server certificate was not issued by its CA')
  return { caPem, certPem, keyPem: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}
