import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface Program {
  readonly name: string
  readonly path: string
  readonly args: readonly string[]
  readonly logPath: string
  /** Default: this process's. */
  readonly env?: NodeJS.ProcessEnv
}

const LOOK_EVERY_MS = 50
const STOPPED_WITHIN_MS = 5_000
const LOG_LINES = 15

/** A program that runs until it is stopped; its output goes to a file. */
export class RunningProgram {
  readonly #program: Program
  readonly #child: ChildProcess
  readonly #ended: Promise<void>

  constructor(program: Program) {
    const log = openSync(program.logPath, 'a')
    this.#program = program
    this.#child = spawn(program.path, program.args, {
      stdio: ['ignore', log, log],
      env: program.env ?? process.env,
    })
    closeSync(log)
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve())
      this.#child.once('error', () => resolve())
    })
  }

  /** Waits until `look` says yes. @throws Error with the end of its log, when it ends before or takes too long */
  async until(what: string, look: () => Promise<boolean>, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (!(await look())) {
      const hasEnded = this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null
      if (hasEnded || performance.now() > deadline) {
        const verdict = hasEnded ? 'ended' : `took more than ${withinMs / 1000} s`
        throw new Error(`${this.#program.name} ${verdict} before ${what}; its log ends with:\n${this.#lastLines()}`)
      }
      await delay(LOOK_EVERY_MS)
    }
  }

  /** Asks it to end, makes it end after five seconds, and waits until it did. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOPPED_WITHIN_MS)
    await this.#ended
    clearTimeout(timer)
  }

  #lastLines(): string {
    return readFileSync(this.#program.logPath, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n')
  }
}
