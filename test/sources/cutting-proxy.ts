/** A network that breaks: a TCP proxy that cuts every connection after so many bytes of its answer. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Cuts {
  /** `http://HOST:PORT` of the server behind it. */
  readonly to: string
  /** How many bytes of the answer to a connection pass; undefined for all. Asked with its number, from 0. */
  readonly bytesOf: (connection: number) => number | undefined
  /** Done after a connection was cut, and before the next one is let through. */
  readonly onCut?: (connection: number) => Promise<void> | void
}

export interface CuttingProxy {
  readonly url: string
  /** The head of the first request of each connection. */
  readonly requests: readonly string[]
  /** Of all answers. */
  readonly passedBytes: () => number
  readonly close: () => Promise<void>
}

export async function startCuttingProxy({ to, bytesOf, onCut }: Cuts): Promise<CuttingProxy> {
  const { hostname, port } = new URL(to)
  const requests: string[] = []
  const open = new Set<Socket>()
  let passedBytes = 0
  let connections = 0
  let settled: Promise<unknown> = Promise.resolve()

  /** Half of the connections end as if all were said, half are reset. */
  function cut(client: Socket, connection: number): void {
    settled = settled.then(() => onCut?.(connection))
    if (connection % 2 === 0) client.end()
    else client.resetAndDestroy()
  }

  function pass(client: Socket, connection: number): void {
    const upstream = connect(Number(port), hostname)
    let left = bytesOf(connection) ?? Infinity
    keep(client, upstream)
    keep(upstream, client)
    client.once(
      'data',
      (chunk: Buffer) => (requests[connection] = chunk.toString('latin1').split('\r\n\r\n', 1)[0] ?? ''),
    )
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      if (left === 0) return
      const passing = chunk.subarray(0, left)
      left -= passing.length
      passedBytes += passing.length
      client.write(passing)
      if (left > 0) return
      upstream.destroy()
      cut(client, connection)
    })
    upstream.once('end', () => client.end())
  }

  function keep(socket: Socket, other: Socket): void {
    open.add(socket)
    socket.on('error', () => other.destroy())
    socket.on('close', () => open.delete(socket))
  }

  const server = createServer((client) => {
    const connection = connections++
    client.on('error', () => client.destroy())
    void settled.then(() => pass(client, connection))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    passedBytes: () => passedBytes,
    async close() {
      open.forEach((socket) => socket.destroy())
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
