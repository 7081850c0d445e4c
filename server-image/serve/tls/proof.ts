/** Whether the client of a TLS connection has shown who it is. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Why a connection's client is not known; undefined when it is. Words for the client. */
export type Doubt = () => string | undefined

const NONE =
  'This server wants a client certificate of an authority that its operators named; this connection has none.'

/** Looks at a connection once its handshake is over; the doubt may come later, when the certificate is no longer valid. */
export function doubtOf(socket: Socket): Doubt {
  if (!(socket instanceof TLSSocket)) return () => NONE
  // Law: a certificate must be there. That a handshake was found in order is not enough, as one that resumes a session may be without.
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return () => NONE
  if (!socket.authorized) {
    const why = `The client certificate of this connection is not accepted: ${String(socket.authorizationError)}.`
    return () => why
  }
  const validUntil = certificate.validToDate.getTime()
  return () =>
    Date.now() <= validUntil
      ? undefined
      : `The client certificate of this connection was valid until ${certificate.validTo}.`
}
