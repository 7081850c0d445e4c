import type { Server, Socket } from 'node:net'

/**
 * Every connection that a server has accepted and that is still there. With TLS these are the ones below it: those whose handshake is
 * not over belong to nobody else, and to end one ends the TLS connection above it.
 */
export function acceptedBy(server: Pick<Server, 'on'>): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}
