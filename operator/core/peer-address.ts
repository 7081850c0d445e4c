/** How status remembers where a revision is relayed to: its ClusterIP, behind `https://` if it speaks TLS. */
import type { Scheme } from './revision.ts'

const HTTPS = 'https://'

export function peerAddress(scheme: Scheme, clusterIP: string): string {
  return scheme === 'https' ? HTTPS + clusterIP : clusterIP
}

export function peerOf(address: string): { readonly scheme: Scheme; readonly clusterIP: string } {
  return address.startsWith(HTTPS)
    ? { scheme: 'https', clusterIP: address.slice(HTTPS.length) }
    : { scheme: 'http', clusterIP: address }
}
