/** Servers of other people as child processes: ready when they answer, and gone with all that they started when they are stopped. */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What any of them may take until it is ready. */
export const START_TIMEOUT_MS = 120_000
const STOP_DEADLINE_MS = 20_000

export interface ServerCommand {
  /** The program and its arguments. */
  readonly command: (port: number) => readonly string[]
  /** Answers with any status once the server is ready. */
  readonly readyPath?: string
  /** It speaks TLS, and is ready when it takes connections. */
  readonly tls?: boolean
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface ServerProcess {
  /** `http://127.0.0.1:PORT`, or with `https:` */
  readonly url: string
  readonly stop: () => Promise<void>
}

/** @throws Error with the end of what the server wrote, when it ends or does not answer in time */
export async function startServerProcess({
  command,
  readyPath = '/',
  tls = false,
  cwd,
  env = {},
}: ServerCommand): Promise<ServerProcess> {
  const port = await freePort()
  const [program = '', ...args] = command(port)
  // A group of its own, for servers that start workers.
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  const listen = (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000))
  child.stdout.on('data', listen)
  child.stderr.on('data', listen)
  child.once('error', (error) => (said += error.message))
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
  const stop = () => stopGroup(child)
  for (const deadline = performance.now() + START_TIMEOUT_MS; ; await sleep(100)) {
    if (await (tls ? takesConnections(port) : answers(`${url}${readyPath}`))) return { url, stop }
    if (isRunning(child) && child.pid !== undefined && performance.now() < deadline) continue
    await stop()
    throw new Error(`${program} ${args.join(' ')} does not answer:\n${said}`)
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  signalGroup(pid, 'SIGTERM')
  for (const deadline = performance.now() + STOP_DEADLINE_MS; signalGroup(pid, 0); await sleep(20)) {
    if (performance.now() > deadline) signalGroup(pid, 'SIGKILL')
  }
}

/** @returns whether there is still a process in the group */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(5_000) })
    await response.body?.cancel()
    return true
  } catch {
    return false
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Free a moment ago. A server that finds it taken after all ends, and says so. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}
