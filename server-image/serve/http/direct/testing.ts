/** For tests only: a client that may send anything. */
import { connect, type Socket } from 'node:net'

/** A connection that hears whole answers. */
export class Client {
  readonly socket: Socket
  heard = ''
  isClosed = false

  constructor({ port }: { readonly port: number }) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk) => (this.heard += chunk.toString('latin1')))
    this.socket.on('error', () => undefined).on('close', () => (this.isClosed = true))
  }

  /** Statuses of the answers that are whole, in order. */
  get statuses(): number[] {
    const statuses: number[] = []
    let rest = this.heard
    for (;;) {
      const [head = ''] = /^HTTP[^]*?\r\n\r\n/.exec(rest) ?? []
      const [, status = ''] = /^HTTP\/1\.1 (\d+) /.exec(head) ?? []
      const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(head) ?? []
      if (head === '' || rest.length < head.length + Number(length)) return statuses
      statuses.push(Number(status))
      rest = rest.slice(head.length + Number(length))
    }
  }
}
