/**
 * Leader election by a Lease, with client-go's rules.
 *
 * It promises that two candidates never both say `isLeader()`, as long as their clocks run at about the same rate (they need not
 * agree on the time): a leader stops believing in itself `renewDeadlineMs` after it began its last successful renewal, and others
 * wait `leaseMs` after they saw a change. What leaders do is left to the callbacks.
 */
import type { Client } from './client.ts'
import { microTime, pause, systemClock, type Clock } from './clock.ts'
import { isConflict, isAlreadyExists, isNotFound, unlessNotFound } from './errors.ts'
import { silentLog, type Log } from './log.ts'
import type { KubeObject, ObjectName } from './resource.ts'
import { LEASE, readAs } from './resources.ts'

export interface ElectionOptions {
  readonly client: Client
  readonly lease: { readonly namespace: string; readonly name: string }
  /** Unique for each process, for example `<host>_<random>`: a process that died must not be mistaken for its successor. */
  readonly identity: string
  readonly onElected: () => void
  /** Leadership ended other than by `stop()`: whatever acts as leader must stop at once. The campaign goes on. */
  readonly onLost: (reason: string) => void
  readonly leaseMs?: number
  readonly renewDeadlineMs?: number
  readonly retryMs?: number
  readonly clock?: Clock
  readonly log?: Log
}

export interface Election {
  start(): void
  /** Ask before every write: it is true only while the lease surely holds. */
  isLeader(): boolean
  /** True while the lease was read or written within its duration: this candidate leads, or could take over. */
  isInTouch(): boolean
  /** Who holds the lease, as far as is known. */
  holder(): string | undefined
  /** Ends the campaign, and gives the lease away so that the next leader need not wait. Stop acting as leader before. */
  stop(): Promise<void>
}

interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

interface LeaseObject extends KubeObject {
  readonly spec?: LeaseSpec
}

const LEASES = readAs<LeaseObject>(LEASE)
/** client-go's JitterFactor: candidates come back after 1 to 2.2 times the retry period. */
const JITTER = 1.2

/** @throws RangeError when the periods do not leave room for a renewal. */
export function createElection(options: ElectionOptions): Election {
  const { leaseMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2_000 } = options
  if (leaseMs <= renewDeadlineMs) throw new RangeError('leaseMs must be greater than renewDeadlineMs')
  if (renewDeadlineMs <= retryMs * JITTER)
    throw new RangeError(`renewDeadlineMs must be greater than ${JITTER} * retryMs`)
  return new Candidate({ ...options, leaseMs, renewDeadlineMs, retryMs })
}

type Settings = ElectionOptions & Required<Pick<ElectionOptions, 'leaseMs' | 'renewDeadlineMs' | 'retryMs'>>

/** The end of a term on both clocks: a suspended machine's monotonic clock may stand still while others go on. */
interface Term {
  readonly monotonicMs: number
  readonly wallMs: number
}

class Candidate implements Election {
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #log: Log
  readonly #name: ObjectName
  readonly #stopping = new AbortController()
  #campaign: Promise<void> | undefined
  #seen: { readonly lease: LeaseObject; readonly record: string; readonly atMs: number } | undefined
  #term: Term | undefined
  /** When an attempt last came to an end, whoever holds the lease. */
  #heardAtMs = -Infinity
  /** Whether `onElected` was called for this term: then its end is told, too. */
  #isAnnounced = false

  constructor(settings: Settings) {
    this.#settings = settings
    this.#clock = settings.clock ?? systemClock
    this.#log = settings.log ?? silentLog
    this.#name = settings.lease
  }

  start(): void {
    this.#campaign ??= this.#run()
  }

  isLeader(): boolean {
    return this.#term !== undefined && !this.#isOver(this.#term)
  }

  isInTouch(): boolean {
    return this.#clock.monotonicMs() - this.#heardAtMs < this.#settings.leaseMs
  }

  holder(): string | undefined {
    return this.#seen?.lease.spec?.holderIdentity || undefined
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#campaign
    if (this.isLeader()) await this.#release()
    this.#term = undefined
  }

  async #run(): Promise<void> {
    const { retryMs } = this.#settings
    const stop = this.#stopping.signal
    while (!stop.aborted) {
      await this.#attempt()
      if (stop.aborted) return
      if (this.#term !== undefined && !this.#isAnnounced) this.#elected()
      const jitter = this.#term === undefined ? 1 + this.#clock.random() * JITTER : 1
      await this.#waitOrExpire(retryMs * jitter)
    }
  }

  #elected(): void {
    this.#isAnnounced = true
    this.#log.info({ lease: this.#name, identity: this.#settings.identity }, 'became the leader')
    this.#settings.onElected()
  }

  #lost(reason: string): void {
    if (this.#term === undefined) return
    this.#term = undefined
    if (!this.#isAnnounced) return
    this.#isAnnounced = false
    this.#log.error({ lease: this.#name, identity: this.#settings.identity, reason }, 'is no longer the leader')
    this.#settings.onLost(reason)
  }

  /** Waits; a term that ends meanwhile is lost at that moment, not at the next attempt. */
  async #waitOrExpire(delayMs: number): Promise<void> {
    const cancel = this.#onExpiry()
    await pause(this.#clock, delayMs, this.#stopping.signal)
    cancel()
  }

  #onExpiry(): () => void {
    const term = this.#term
    if (term === undefined) return () => {}
    return this.#clock.after(Math.max(0, term.monotonicMs - this.#clock.monotonicMs()), () => this.#expire(term))
  }

  #expire(term: Term): void {
    if (this.#term === term) this.#lost(`the lease could not be renewed within ${this.#settings.renewDeadlineMs} ms`)
  }

  #isOver(term: Term): boolean {
    return this.#clock.monotonicMs() >= term.monotonicMs || this.#clock.wallTime().getTime() >= term.wallMs
  }

  /** One try to get or renew the lease. Whatever fails is tried again; only the term's end makes it matter. */
  async #attempt(): Promise<void> {
    const cancel = this.#onExpiry()
    const { renewDeadlineMs } = this.#settings
    const begun = { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallTime().getTime() }
    try {
      const isHeld = await this.#acquireOrRenew()
      this.#heardAtMs = this.#clock.monotonicMs()
      const term = { monotonicMs: begun.monotonicMs + renewDeadlineMs, wallMs: begun.wallMs + renewDeadlineMs }
      if (isHeld && !this.#isOver(term)) this.#term = term
      if (!isHeld) this.#lost(`${this.holder() ?? 'nobody'} holds the lease`)
    } catch (error) {
      this.#log.warn({ lease: this.#name, reason: (error as Error).message }, 'the lease could not be read or written')
    } finally {
      cancel()
    }
    if (this.#term !== undefined && this.#isOver(this.#term)) this.#expire(this.#term)
  }

  async #acquireOrRenew(): Promise<boolean> {
    const known = this.#seen?.lease
    if (this.#term !== undefined && known !== undefined && (await this.#write(known))) return true
    const lease = await this.#read()
    if (lease === undefined) return this.#create()
    return this.#isTakenByOther(lease) ? false : this.#write(lease)
  }

  async #read(): Promise<LeaseObject | undefined> {
    const lease = await unlessNotFound(this.#settings.client.get(LEASES, this.#name, this.#bounds()))
    if (lease !== undefined) this.#observe(lease)
    return lease
  }

  /** Notes when the record changed by our own clock: the holder's is never compared with ours. */
  #observe(lease: LeaseObject): void {
    const record = JSON.stringify(lease.spec ?? {})
    const atMs = this.#seen?.record === record ? this.#seen.atMs : this.#clock.monotonicMs()
    this.#seen = { lease, record, atMs }
  }

  #isTakenByOther({ spec }: LeaseObject): boolean {
    const holder = spec?.holderIdentity ?? ''
    if (holder === '' || holder === this.#settings.identity) return false
    const durationMs = (spec?.leaseDurationSeconds ?? 0) * 1000
    return this.#clock.monotonicMs() < (this.#seen?.atMs ?? Infinity) + durationMs
  }

  async #create(): Promise<boolean> {
    const lease: LeaseObject = { metadata: this.#name, spec: this.#record(undefined) }
    try {
      this.#observe(await this.#settings.client.create(LEASES, lease, this.#bounds()))
      return true
    } catch (error) {
      if (isAlreadyExists(error)) return false
      throw error
    }
  }

  /** False when somebody else has written it since. */
  async #write(lease: LeaseObject): Promise<boolean> {
    const next: LeaseObject = { ...lease, spec: { ...lease.spec, ...this.#record(lease.spec) } }
    try {
      this.#observe(await this.#settings.client.update(LEASES, next, this.#bounds()))
      return true
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false
      throw error
    }
  }

  #record(previous: LeaseSpec | undefined): LeaseSpec {
    const now = microTime(this.#clock.wallTime())
    const isOurs = previous?.holderIdentity === this.#settings.identity
    const transitions = previous?.leaseTransitions ?? 0
    return {
      holderIdentity: this.#settings.identity,
      leaseDurationSeconds: Math.ceil(this.#settings.leaseMs / 1000),
      acquireTime: isOurs ? (previous.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isOurs || previous === undefined ? transitions : transitions + 1,
    }
  }

  async #release(): Promise<void> {
    try {
      const isReleased = await this.#giveAway(this.#seen?.lease)
      // A renewal that was under way when we stopped may have been written.
      if (!isReleased) await this.#giveAway(await this.#settings.client.get(LEASES, this.#name, this.#farewell()))
    } catch (error) {
      const reason = (error as Error).message
      this.#log.warn({ lease: this.#name, reason }, 'the lease was not released: the next leader waits until it ends')
    }
  }

  async #giveAway(lease: LeaseObject | undefined): Promise<boolean> {
    if (lease?.spec?.holderIdentity !== this.#settings.identity) return true
    const now = microTime(this.#clock.wallTime())
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now }
    try {
      this.#observe(await this.#settings.client.update(LEASES, { ...lease, spec }, this.#farewell()))
      return true
    } catch (error) {
      if (isConflict(error)) return false
      throw error
    }
  }

  #farewell(): { timeoutMs: number } {
    return { timeoutMs: this.#settings.retryMs }
  }

  /** Half of the renew deadline: a call that hangs on a dead connection leaves time for another. */
  #bounds(): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: this.#settings.renewDeadlineMs / 2, signal: this.#stopping.signal }
  }
}
