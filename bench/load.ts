/** Load on an HTTP server: connections that each send the next request when the last is answered. Cheap, so that the server is what is measured. */
import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly body: string
  readonly connections: number
  readonly seconds: number
}

export interface LoadReport {
  /** That were answered with a 200; so are those of the times. */
  readonly requestsPerSecond: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export async function load(options: LoadOptions): Promise<LoadReport> {
  const { path, host, body, seconds, connections } = options
  const request = Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  const durationsMs: number[] = []
  let failures = 0
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = await opened(options)
      while (performance.now() < endsAt) {
        const sentAt = performance.now()
        if (await exchange(socket, request)) durationsMs.push(performance.now() - sentAt)
        else failures += 1
      }
      socket.destroy()
    }),
  )
  const elapsedSeconds = (performance.now() - startedAt) / 1000
  durationsMs.sort((a, b) => a - b)
  return {
    requestsPerSecond: durationsMs.length / elapsedSeconds,
    failures,
    p50Ms: quantile(durationsMs, 0.5),
    p99Ms: quantile(durationsMs, 0.99),
  }
}

/** @param sorted ascending */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(q * (sorted.length - 1))] ?? NaN
}

function opened({ host, port }: LoadOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

const LENGTH = /\r\ncontent-length: (\d+)/i

/** True for a 200. */
function exchange(socket: Socket, request: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const onData = (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      const headEnd = answer.indexOf('\r\n\r\n')
      const length = headEnd === -1 ? undefined : LENGTH.exec(answer.slice(0, headEnd))?.[1]
      if (length === undefined || answer.length < headEnd + 4 + Number(length)) return
      socket.off('data', onData).off('close', onClose)
      resolve(answer.startsWith('HTTP/1.1 200'))
    }
    const onClose = () => reject(new Error('the server closed the connection'))
    socket.on('data', onData).once('close', onClose).write(request)
  })
}
