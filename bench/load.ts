/** Load on an HTTP server, and probes of it. Cheap, so that the server is what is measured. */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile } from './statistics.ts'

export interface Target {
  readonly host: string
  readonly port: number
  readonly path: string
}

export interface LoadOptions extends Target {
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

/** Connections that each send the next request when the last is answered. */
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

/** Of probes, whether the last one was answered or not: a stall must not hide those that should have met it. */
const PROBE_EVERY_MS = 10
/** Before they count, so that what asks has been compiled. */
const PROBES_BEFORE = 50

export interface Probed<Result> {
  readonly result: Result
  readonly p99Ms: number
}

/** How long GETs of a path take, on connections that are kept, until some work has ended. One that fails takes for ever. */
export async function probedWhile<Result>(target: Target, work: () => Promise<Result>): Promise<Probed<Result>> {
  const request = Buffer.from(`GET ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\n\r\n`)
  const unused: Socket[] = []
  const durationsMs: number[] = []
  const probe = async () => {
    const askedAt = performance.now()
    try {
      const socket = stillOpen(unused) ?? (await opened(target))
      const isAnswered = await exchange(socket, request)
      durationsMs.push(isAnswered ? performance.now() - askedAt : Infinity)
      unused.push(socket)
    } catch {
      durationsMs.push(Infinity)
    }
  }
  for (let before = 0; before < PROBES_BEFORE; before += 1) await probe()
  durationsMs.length = 0

  let isOver = false
  const probing = async () => {
    const pending: Promise<void>[] = []
    while (!isOver) {
      pending.push(probe())
      await delay(PROBE_EVERY_MS)
    }
    await Promise.all(pending)
  }
  const [result] = await Promise.all([work().finally(() => (isOver = true)), probing()])
  for (const socket of unused) socket.destroy()
  durationsMs.sort((a, b) => a - b)
  return { result, p99Ms: quantile(durationsMs, 0.99) }
}

/** Takes one out of them. */
function stillOpen(sockets: Socket[]): Socket | undefined {
  let socket = sockets.pop()
  while (socket?.destroyed === true) socket = sockets.pop()
  return socket
}

function opened({ host, port }: Target): Promise<Socket> {
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
