/**
 * One run of one container: from the start of its process to its last words.
 *
 * It starts the process with its hooks and probes, tells its pod what they find, ends it as politely as its grace allows, and
 * resolves `ended` once nothing of it is left. Whether it runs again is left to the pod.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { Container, LifecycleHandler, Probe } from '../objects.ts'
import type { Exit } from '../pod/record.ts'
import { perform } from './actions.ts'
import type { ActionResult, ActionTarget } from './actions.ts'
import { startProcess } from './local-process.ts'
import type { Command, LocalProcess } from './local-process.ts'
import type { LogFile } from './log-file.ts'
import type { ProcessLedger } from './process-ledger.ts'
import { startProber } from './prober.ts'
import { terminationMessage } from './termination-message.ts'

export interface RunOptions {
  readonly container: Container
  readonly main: Command
  readonly other: (argv: readonly string[]) => Command
  readonly podIP: string
  readonly ledger: ProcessLedger
  readonly log: LogFile
  readonly terminationLog: string
  /** `Unhealthy`, `Killing` and such, as Events tell them. */
  readonly tell: (type: 'Normal' | 'Warning', reason: string, message: string) => void
  readonly onChange: () => void
  /** A liveness or startup probe gave it up: it must be ended and started again. */
  readonly onUnhealthy: (probe: Probe, kind: string) => void
}

/** After a preStop hook that used up all the grace, a process still gets this. */
const LEAST_GRACE_MS = 2000

export class ContainerRun {
  readonly containerID = `process://${randomBytes(32).toString('hex')}`
  readonly startedAtMs = Date.now()
  readonly log: LogFile
  readonly ended: Promise<Exit>
  readonly #options: RunOptions
  readonly #process: LocalProcess
  readonly #probers: Record<'startup' | 'liveness' | 'readiness', { stop(): void } | undefined>
  #started = false
  #probedReady: boolean
  #isOver = false
  #deadlineMs: number | undefined
  #killTimer: NodeJS.Timeout | undefined

  /** Rejects when the program cannot be started. */
  static async start(options: RunOptions): Promise<ContainerRun> {
    const process = await startProcess(options.main, options.ledger, (stream, chunk) =>
      options.log.append(stream, chunk),
    )
    return new ContainerRun(options, process)
  }

  private constructor(options: RunOptions, process: LocalProcess) {
    this.#options = options
    this.#process = process
    this.log = options.log
    this.#probedReady = options.container.readinessProbe === undefined
    this.#probers = { startup: undefined, liveness: undefined, readiness: undefined }
    this.ended = this.#end()
    void this.#afterStart()
  }

  get pid(): number {
    return this.#process.pid
  }

  get started(): boolean {
    return this.#started
  }

  get probedReady(): boolean {
    return this.#probedReady
  }

  get stopping(): boolean {
    return this.#deadlineMs !== undefined
  }

  /**
   * Ends it: preStop hook, SIGTERM, and SIGKILL to its whole group when the grace is over. Called again, it can only shorten the
   * grace. Resolves with `ended`.
   */
  stop(graceMs: number, why: string): Promise<Exit> {
    const deadlineMs = Date.now() + Math.max(0, graceMs)
    if (this.#isOver || (this.#deadlineMs !== undefined && deadlineMs >= this.#deadlineMs)) return this.ended
    const isFirst = this.#deadlineMs === undefined
    this.#deadlineMs = deadlineMs
    this.#killAt(deadlineMs)
    if (isFirst) void this.#stopPolitely(graceMs, why)
    return this.ended
  }

  async #stopPolitely(graceMs: number, why: string): Promise<void> {
    const { container, tell } = this.#options
    tell('Normal', 'Killing', why)
    this.#probers.startup?.stop()
    this.#probers.liveness?.stop()
    const hook = container.lifecycle?.preStop
    if (hook !== undefined && graceMs > 0) {
      this.#killAt((this.#deadlineMs ?? 0) + LEAST_GRACE_MS)
      const result = await this.#hook(hook, graceMs)
      if (!result.ok) tell('Warning', 'FailedPreStopHook', `PreStopHook failed: ${result.message}`)
      this.#killAt(Math.max(this.#deadlineMs ?? 0, Date.now() + LEAST_GRACE_MS))
    }
    if (!this.#isOver) this.#process.signal('SIGTERM')
  }

  #killAt(atMs: number): void {
    clearTimeout(this.#killTimer)
    if (!this.#isOver) this.#killTimer = setTimeout(() => this.#process.kill(), Math.max(0, atMs - Date.now()))
  }

  async #afterStart(): Promise<void> {
    const { container, tell } = this.#options
    const hook = container.lifecycle?.postStart
    if (hook !== undefined) {
      const result = await this.#hook(hook, 60_000)
      if (!result.ok) {
        tell('Warning', 'FailedPostStartHook', `PostStartHook failed: ${result.message}`)
        return void this.stop(LEAST_GRACE_MS, 'FailedPostStartHook')
      }
    }
    if (this.#isOver || this.stopping) return
    if (container.startupProbe === undefined) return this.#becomeStarted()
    this.#probers.startup = this.#probe(container.startupProbe, 'Startup', (ok) => {
      if (ok) this.#becomeStarted()
      else this.#giveUp(container.startupProbe as Probe, 'startup')
    })
  }

  #becomeStarted(): void {
    const { livenessProbe, readinessProbe } = this.#options.container
    this.#probers.startup?.stop()
    this.#started = true
    if (livenessProbe !== undefined) {
      this.#probers.liveness = this.#probe(livenessProbe, 'Liveness', (ok) => {
        if (!ok) this.#giveUp(livenessProbe, 'liveness')
      })
    }
    if (readinessProbe !== undefined) {
      this.#probers.readiness = this.#probe(readinessProbe, 'Readiness', (ok) => this.#setReady(ok))
    }
    this.#options.onChange()
  }

  #setReady(ready: boolean): void {
    if (ready === this.#probedReady) return
    this.#probedReady = ready
    this.#options.onChange()
  }

  #giveUp(probe: Probe, kind: string): void {
    if (!this.stopping) this.#options.onUnhealthy(probe, kind)
  }

  #probe(probe: Probe, kind: string, onVerdict: (ok: boolean) => void): { stop(): void } {
    return startProber({
      probe,
      attempt: (timeoutMs) => perform(probe, this.#target(), timeoutMs),
      onVerdict,
      onFailure: (message) => this.#options.tell('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
    })
  }

  async #hook(hook: LifecycleHandler, timeoutMs: number): Promise<ActionResult> {
    if (hook.sleep === undefined) return perform(hook, this.#target(), timeoutMs)
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.min(hook.sleep.seconds * 1000, timeoutMs))
    await Promise.race([promise, this.ended])
    clearTimeout(timer)
    return { ok: true, message: '' }
  }

  #target(): ActionTarget {
    const { container, podIP, ledger, other } = this.#options
    return { container, host: podIP, ledger, commandOf: other }
  }

  async #end(): Promise<Exit> {
    const { exitCode, atMs } = await this.#process.ended
    this.#isOver = true
    clearTimeout(this.#killTimer)
    for (const prober of Object.values(this.#probers)) prober?.stop()
    const { container, log, terminationLog } = this.#options
    log.end()
    const left = { exitCode, file: terminationLog, log: log.path }
    const message = await terminationMessage(container, left).catch(() => undefined)
    return {
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      ...(message !== undefined && { message }),
      startedAtMs: this.startedAtMs,
      finishedAtMs: atMs,
      containerID: this.containerID,
    }
  }
}

/** Where a run's log and its last message go. */
export function runFiles(directory: string, restartCount: number): { log: string; terminationLog: string } {
  mkdirSync(directory, { recursive: true })
  const terminationLog = join(directory, `termination-log.${restartCount}`)
  writeFileSync(terminationLog, '')
  return { log: join(directory, `${restartCount}.log`), terminationLog }
}
