/**
 * No process outlives its kubelet.
 *
 * Every process group is noted in a directory while it lives. A shell that only waits for the end of a pipe from us kills all
 * that are noted when we vanish, however that happens; and whatever even that missed (the machine's own reset of the pipe, a killed
 * shell) is killed at the next start, if the process there is still the one that was noted.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Blocks until its standard input ends, then kills every process group that is noted in the directory `$1`. */
const WATCHDOG = `read -r _; cd "$1" || exit 0
for group in [0-9]*; do kill -s KILL -- "-$group" 2>/dev/null; done`

export class ProcessLedger {
  readonly #directory: string
  readonly #watchdog: ChildProcess

  /** Kills what an earlier kubelet left in the directory, and starts to watch over what comes. */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
    reapLeftovers(directory)
    this.#watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'penstock-watchdog', directory], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#watchdog.on('error', () => undefined)
    this.#watchdog.stdin?.on('error', () => undefined)
  }

  add(pid: number): void {
    writeFileSync(join(this.#directory, String(pid)), startTimeOf(pid) ?? '')
  }

  remove(pid: number): void {
    rmSync(join(this.#directory, String(pid)), { force: true })
  }

  /** Ends the watch; everything that was noted must have ended. */
  async close(): Promise<void> {
    if (this.#watchdog.exitCode !== null || this.#watchdog.signalCode !== null) return
    const ended = new Promise((resolve) => this.#watchdog.once('close', resolve))
    this.#watchdog.stdin?.end()
    await ended
  }
}

function reapLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = Number(name)
    const noted = readFileSync(join(directory, name), 'utf8')
    if (pid > 1 && noted !== '' && startTimeOf(pid) === noted) killGroup(pid, 'SIGKILL')
    rmSync(join(directory, name), { force: true })
  }
}

/** Signals a whole process group; answers false when there is none any more. */
export function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** When a process started, in a form that only this machine understands: with its id it names one process for good. */
function startTimeOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux')
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)])
        .toString()
        .trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
