import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { ourProgram, SERVER_IMAGE } from './programs.ts'

export interface OperatorProcessOptions {
  readonly kubeconfigPath: string
  /** Where its lease is; else where the operator itself would have it. */
  readonly leaseNamespace?: string
  /** Where its log goes. */
  readonly logPath: string
}

export interface OperatorProcess {
  readonly pid: number
  /** The end of its log. */
  lastLines(count: number): Promise<string>
  /** Asks it to stop, and waits until it did. */
  stop(): Promise<void>
}

const READY_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 50

/** Starts the operator from source as a process of its own, and waits until it works. */
export async function startOperatorProcess(options: OperatorProcessOptions): Promise<OperatorProcess> {
  const log = openSync(options.logPath, 'a')
  const [program, ...main] = ourProgram('operator')
  const args = [
    ...main,
    `--kubeconfig=${options.kubeconfigPath}`,
    `--server-image=${SERVER_IMAGE}`,
    '--health-address=127.0.0.1:0',
    ...(options.leaseNamespace === undefined ? [] : [`--lease-namespace=${options.leaseNamespace}`]),
  ]
  const child = spawn(program, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const lastLines = async (count: number) =>
    (await readFile(options.logPath, 'utf8')).trimEnd().split('\n').slice(-count).join('\n')
  const running: OperatorProcess = {
    pid: child.pid ?? -1,
    lastLines,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await lastLines(50)).includes('"operator is working"')) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const said = await lastLines(20)
      await running.stop()
      throw new Error(`the operator did not start:\n${said}`)
    }
    await delay(LOOK_EVERY_MS)
  }
  return running
}
