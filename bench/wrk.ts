/** Load by wrk, from the second core. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onCore } from './awake.ts'

export interface WrkOptions {
  readonly url: string
  /** Path of the Lua script that says what is sent. */
  readonly script: string
  readonly connections: number
  readonly seconds: number
}

export interface Measured {
  /** That were answered in all. */
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** @throws Error when a request was not answered with a 2xx */
export async function wrk({ url, script, connections, seconds }: WrkOptions): Promise<Measured> {
  const howMuch = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '--timeout', '20s']
  const [program, ...args] = onCore('load', 'wrk', ...howMuch, '-s', script, url)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0 || /Non-2xx|Socket errors/.test(said)) throw new Error(`requests to ${url} failed: ${said}`)
  return {
    requests: Number(/(\d+) requests in/.exec(said)?.[1]),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(said)?.[1]),
    p50Ms: milliseconds(/^\s+50%\s+(\S+)/m.exec(said)?.[1]),
    p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(said)?.[1]),
  }
}

function milliseconds(text = ''): number {
  const [, value, unit] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? []
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1)
}
