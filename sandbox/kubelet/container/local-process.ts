import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { killGroup } from './process-ledger.ts'
import type { ProcessLedger } from './process-ledger.ts'

export interface Command {
  readonly argv: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  readonly directory: string
}

export interface LocalProcess {
  readonly pid: number
  /** Resolves when the process has ended, its group is gone and its output is complete. Never rejects. */
  readonly ended: Promise<{ readonly exitCode: number; readonly atMs: number }>
  /** To the main process only, as a container runtime does it. */
  signal(name: NodeJS.Signals): void
  /** Ends the whole group at once. */
  kill(): void
}

type Output = (stream: 'stdout' | 'stderr', chunk: Buffer) => void

/** A grandchild that left the group may hold the pipes open; its output is not waited for. */
const LAST_OUTPUT_MS = 1000

/** Starts a process in a group of its own, without a shell. Rejects when the program cannot be started. */
export async function startProcess(command: Command, ledger: ProcessLedger, onOutput: Output): Promise<LocalProcess> {
  const [program = '', ...args] = command.argv
  const child = spawn(program, args, {
    cwd: command.directory,
    env: Object.fromEntries(command.environment),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid === undefined) throw await startError(child, program)
  child.stdout.on('data', (chunk: Buffer) => onOutput('stdout', chunk))
  child.stderr.on('data', (chunk: Buffer) => onOutput('stderr', chunk))
  child.on('error', () => undefined)
  try {
    ledger.add(pid)
  } catch (error) {
    killGroup(pid, 'SIGKILL') // What is not noted could outlive us.
    throw error
  }
  return {
    pid,
    ended: endOf(child, pid, ledger),
    signal: (name) => void child.kill(name),
    kill() {
      // Its id may belong to somebody else once it has ended.
      if (child.exitCode === null && child.signalCode === null) killGroup(pid, 'SIGKILL')
    },
  }
}

async function startError(child: ChildProcess, program: string): Promise<Error> {
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once('error', resolve))
  const why =
    error.code === 'ENOENT'
      ? program.includes('/')
        ? 'no such file or directory'
        : 'executable file not found in $PATH'
      : error.message
  return new Error(`exec: ${JSON.stringify(program)}: ${why}`)
}

async function endOf(
  child: ChildProcess,
  pid: number,
  ledger: ProcessLedger,
): Promise<{ exitCode: number; atMs: number }> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const exitCode = await new Promise<number>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL'])),
  )
  const atMs = Date.now()
  killGroup(pid, 'SIGKILL')
  ledger.remove(pid)
  await within(closed, LAST_OUTPUT_MS)
  child.stdout?.destroy()
  child.stderr?.destroy()
  return { exitCode, atMs }
}

async function within(event: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([event, promise])
  clearTimeout(timer)
}
