import { X509Certificate } from 'node:crypto'

/**
 * @param ours our own certificate
 * @param theirs DER, of somebody whose chain was verified
 * @returns why theirs is not for any name that ours is for; undefined when it is
 */
export function isOurs(ours: X509Certificate, theirs: Uint8Array): Error | undefined {
  const peer = new X509Certificate(theirs)
  const names = namesOf(ours)
  return namesOf(peer).some((name) => names.includes(name))
    ? undefined
    : new Error(`its certificate is for other names than ours: ${namesOf(peer).join(', ').slice(0, 200)}`)
}

/** As the certificate writes them; one of the old kind has a subject only. */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  return subjectAltName === undefined ? [subject] : subjectAltName.split(', ')
}
