/**
 * Runs one pod: observes its containers, asks the plan what to do, does it, and shows the outcome in the pod's status.
 *
 * One loop per pod does all of it, so nothing happens twice at the same time; everything that takes long (hooks, graceful ends,
 * probes) goes on beside it and rings its alarm. A pod that the API server no longer knows is ended all the same.
 */
import { mkdir, rm } from 'node:fs/promises'
import { isConflict, isNotFound } from '../../operator/kube/errors.ts'
import { Alarm } from './alarm.ts'
import type { ContainerRun } from './container/container-run.ts'
import { imageIdOf, launch } from './container/launch.ts'
import type { NodeContext } from './node-context.ts'
import { podLabel } from './objects.ts'
import type { Container, Pod, PodStatus, Probe } from './objects.ts'
import { isTerminal } from './pod/conditions.ts'
import { ConfigError } from './pod/config-source.ts'
import { crashLoop, planPod } from './pod/plan.ts'
import type { Ending, PodPlan } from './pod/plan.ts'
import { allContainers, recordOf } from './pod/record.ts'
import type { ContainerRecord } from './pod/record.ts'
import { recoveredRecords } from './pod/recovery.ts'
import { podStatusOf, PULL_ERROR_SHOWN_MS } from './pod/status.ts'
import { began, ended, failedToBegin, nextRestartCount, progressed, refused } from './pod/transitions.ts'
import { PODS } from './resources.ts'
import { StatusWriter } from './status-writer.ts'
import { reads } from './volumes/payload.ts'
import { setUpVolume } from './volumes/set-up.ts'

const DEFAULT_GRACE_SECONDS = 30
/** What a pod gets to end that was deleted without any grace. */
const LEAST_GRACE_MS = 1000

export class PodWorker {
  readonly #node: NodeContext
  readonly #alarm = new Alarm()
  readonly #records: Map<string, ContainerRecord>
  readonly #runs = new Map<string, ContainerRun>()
  readonly #status: StatusWriter
  #pod: Pod
  #shown: PodStatus
  #startedAtMs: number
  #podIP: string | undefined
  #isPrepared = false
  #isInitialized = false
  #ending: Ending | undefined
  #endsAtMs: number | undefined
  #outcome: 'Succeeded' | 'Failed' | undefined
  #isGone = false
  #isDeleteSent = false
  #isClosing = false
  #volumesDueMs = Infinity
  #looped: Promise<void> | undefined

  constructor(pod: Pod, node: NodeContext) {
    const { phase, startTime } = pod.status ?? {}
    this.#node = node
    this.#pod = pod
    this.#shown = pod.status ?? {}
    this.#records = new Map(recoveredRecords(pod, Date.now()))
    this.#startedAtMs = startTime === undefined ? Date.now() : Date.parse(startTime)
    if (isTerminal(phase)) this.#outcome = phase as 'Succeeded' | 'Failed'
    this.#status = new StatusWriter(pod, { client: node.client, log: node.log, retryMs: node.timing.retryMs })
  }

  get pod(): Pod {
    return this.#pod
  }

  get runs(): ReadonlyMap<string, ContainerRun> {
    return this.#runs
  }

  get shown(): PodStatus {
    return this.#shown
  }

  start(): void {
    this.#looped ??= this.#loop()
  }

  /** The API server has a newer version of the pod. */
  update(pod: Pod): void {
    const before = this.#pod
    this.#pod = pod
    if (concernsVolumes(before, pod)) this.#volumesDueMs = Date.now()
    this.#alarm.ring()
  }

  /** The API server has no such pod any more. Resolves when nothing of it is left on this machine. */
  async remove(): Promise<void> {
    this.#isGone = true
    this.#alarm.ring()
    await this.#looped
  }

  /** A ConfigMap or Secret of its namespace changed. */
  configChanged(kind: 'configMap' | 'secret', name: string): void {
    if (!(this.#pod.spec.volumes ?? []).some((volume) => reads(volume, kind, name))) return
    const { refreshMs, refreshJitterMs } = this.#node.timing
    const delayMs = this.#isPrepared ? refreshMs + Math.random() * refreshJitterMs : 0
    this.#volumesDueMs = Math.min(this.#volumesDueMs, Date.now() + delayMs)
    this.#alarm.ring()
  }

  /** Ends its processes; the API server is told nothing. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#status.close()
    this.#alarm.ring()
    await this.#looped
    await this.#stopAll(this.#node.timing.closeGraceMs)
  }

  async #loop(): Promise<void> {
    while (!this.#isClosing) {
      const wakeAtMs = await this.#sync().catch((error: Error) => this.#stumbled(error))
      if (this.#isGone && this.#outcome !== undefined) return this.#cleanUp()
      if (!this.#isClosing) await this.#alarm.wait(wakeAtMs)
    }
  }

  #stumbled(error: Error): number {
    if (!this.#isClosing)
      this.#node.log.warn({ pod: podLabel(this.#pod), reason: error.message }, 'a pod could not be synchronised')
    return Date.now() + this.#node.timing.retryMs
  }

  /** Answers when it wants to be called again at the latest. */
  async #sync(): Promise<number | undefined> {
    this.#noticeEnding()
    if (this.#outcome !== undefined) return this.#finish()
    if (!(await this.#prepare())) {
      this.#show()
      return Date.now() + this.#node.timing.retryMs
    }
    const plan = this.#plan()
    for (const name of plan.stop) this.#stop(name, `Stopping container ${name}`)
    for (const name of plan.start) await this.#start(name)
    this.#show()
    if (plan.start.length > 0 || this.#outcome !== undefined) return Date.now()
    return earliest([plan.wakeAtMs, this.#pullErrorShownAtMs(), this.#volumesDueMs, this.#deadlineMs()])
  }

  #plan(): PodPlan {
    const plan = planPod({
      pod: this.#pod,
      records: this.#records,
      initialized: this.#isInitialized,
      ending: this.#ending,
      nowMs: Date.now(),
      backOff: this.#node.timing.backOff,
    })
    this.#isInitialized = plan.initialized
    this.#outcome = plan.outcome
    return plan
  }

  #noticeEnding(): void {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.#pod.metadata
    const nowMs = Date.now()
    if (deletionTimestamp !== undefined || this.#isGone) {
      const graceMs = this.#graceMs(deletionGracePeriodSeconds)
      this.#endsAtMs = Math.min(
        this.#endsAtMs ?? Infinity,
        nowMs + (this.#isGone ? Math.max(graceMs, LEAST_GRACE_MS) : graceMs),
      )
      this.#ending = 'Deleted'
    } else if (this.#ending === undefined && nowMs >= (this.#deadlineMs() ?? Infinity) && this.#outcome === undefined) {
      this.#ending = 'DeadlineExceeded'
      this.#endsAtMs = nowMs + this.#graceMs()
      const message = 'Pod was active on the node longer than the specified deadline'
      this.#node.events.record(this.#pod, { type: 'Normal', reason: 'DeadlineExceeded', message })
    }
  }

  #deadlineMs(): number | undefined {
    const { activeDeadlineSeconds } = this.#pod.spec
    if (activeDeadlineSeconds === undefined || this.#ending !== undefined) return undefined
    return this.#startedAtMs + activeDeadlineSeconds * 1000
  }

  #graceMs(seconds = this.#pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS): number {
    return seconds * 1000
  }

  /** Directories, address and volumes; false when something that they need is missing. A pod that ends needs none of it. */
  async #prepare(): Promise<boolean> {
    const isDue = Date.now() >= this.#volumesDueMs
    if (this.#ending !== undefined || (this.#isPrepared && !isDue)) return true
    this.#volumesDueMs = Infinity
    try {
      if (this.#podIP === undefined) await this.#settle()
      for (const volume of this.#pod.spec.volumes ?? []) {
        await setUpVolume(volume, this.#node.directories, this.#payloadContext())
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      if (this.#isPrepared) this.#volumesDueMs = Date.now() + this.#node.timing.retryMs
      else this.#node.events.record(this.#pod, { type: 'Warning', reason: 'FailedMount', message: error.message })
      return this.#isPrepared
    }
    this.#isPrepared = true
    return true
  }

  async #settle(): Promise<void> {
    const { directories, addresses } = this.#node
    const { uid } = this.#pod.metadata
    for (const path of [directories.home(uid), directories.temporary(uid)]) await mkdir(path, { recursive: true })
    this.#podIP = addresses.allocate()
  }

  #payloadContext() {
    const addresses = { podIP: this.#podIP ?? '', hostIP: this.#node.hostIP }
    return { pod: this.#pod, addresses, config: this.#node.config }
  }

  async #start(name: string): Promise<void> {
    const container = allContainers(this.#pod).find((each) => each.name === name)
    if (container === undefined || this.#isClosing) return
    const { timing } = this.#node
    const record = recordOf(this.#records, name)
    const launched = await launch(
      {
        pod: this.#pod,
        container,
        podIP: this.#podIP ?? '',
        restartCount: nextRestartCount(record),
        onChange: () => this.#progressed(name),
        onUnhealthy: (probe, kind) => this.#unhealthy(container, probe, kind),
      },
      this.#node,
    )
    if (launched.kind === 'running') return this.#began(container, launched.run)
    if (launched.kind === 'refused') {
      const { reason, message } = launched
      const policy = { ...timing.backOff, retryMs: timing.retryMs }
      this.#records.set(name, refused(record, { reason, message }, Date.now(), policy))
      return
    }
    const exit = { exitCode: 128, reason: 'StartError', message: launched.message, startedAtMs: 0, containerID: '' }
    this.#records.set(name, failedToBegin(record, { ...exit, finishedAtMs: Date.now() }, timing.backOff))
  }

  #began(container: Container, run: ContainerRun): void {
    const { name } = container
    this.#runs.set(name, run)
    this.#records.set(name, began(recordOf(this.#records, name), run, this.#node.timing.backOff))
    this.#progressed(name)
    void run.ended.then((exit) => {
      this.#runs.delete(name)
      const record = ended(recordOf(this.#records, name), exit)
      this.#records.set(name, record)
      this.#tellBackOff(container, record)
      this.#alarm.ring()
    })
  }

  #progressed(name: string): void {
    const run = this.#runs.get(name)
    if (run !== undefined) this.#records.set(name, progressed(recordOf(this.#records, name), run))
    this.#alarm.ring()
  }

  #tellBackOff(container: Container, record: ContainerRecord): void {
    if (this.#ending !== undefined || crashLoop(record, Date.now(), this.#node.timing.backOff) === undefined) return
    const message = `Back-off restarting failed container ${container.name} in pod ${podLabel(this.#pod)}`
    this.#node.events.record(this.#pod, { type: 'Warning', reason: 'BackOff', message, container: container.name })
  }

  #unhealthy({ name }: Container, probe: Probe, kind: string): void {
    const why = `Container ${name} failed ${kind} probe, will be restarted`
    void this.#runs.get(name)?.stop(this.#graceMs(probe.terminationGracePeriodSeconds), why)
  }

  #stop(name: string, why: string): void {
    const graceMs = this.#endsAtMs === undefined ? this.#graceMs() : Math.max(0, this.#endsAtMs - Date.now())
    void this.#runs.get(name)?.stop(graceMs, why)
  }

  async #stopAll(graceMs: number): Promise<void> {
    await Promise.all([...this.#runs.values()].map((run) => run.stop(graceMs, 'The kubelet closes')))
  }

  #show(): void {
    const { images, hostIP, timing } = this.#node
    this.#shown = podStatusOf(this.#pod, {
      records: this.#records,
      initialized: this.#isInitialized,
      prepared: this.#isPrepared,
      podIP: this.#podIP,
      hostIP,
      startedAtMs: this.#startedAtMs,
      ending: this.#ending,
      outcome: this.#outcome,
      conditionsBefore: [...(this.#shown.conditions ?? []), ...(this.#pod.status?.conditions ?? [])],
      nowMs: Date.now(),
      backOff: timing.backOff,
      imageIdOf: (image) => imageIdOf(image, images),
    })
    if (!this.#isGone) this.#status.submit(this.#shown)
  }

  #pullErrorShownAtMs(): number | undefined {
    const nowMs = Date.now()
    const times = [...this.#records.values()].flatMap(({ state }) =>
      state.kind === 'refused' && state.reason === 'ErrImagePull' ? [state.atMs + PULL_ERROR_SHOWN_MS] : [],
    )
    return earliest(times.filter((atMs) => atMs > nowMs))
  }

  /** Nothing runs any more: what is left is to say so, and to let a deleted pod go. */
  async #finish(): Promise<number | undefined> {
    if (this.#podIP !== undefined) this.#node.addresses.release(this.#podIP)
    this.#podIP = undefined
    if (this.#ending !== 'Deleted' || this.#isGone || this.#isDeleteSent) return undefined
    await this.#status.flush()
    const { namespace, name, uid } = this.#pod.metadata
    try {
      await this.#node.client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } })
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error
    }
    this.#isDeleteSent = true
    return undefined
  }

  async #cleanUp(): Promise<void> {
    this.#status.close()
    const { directories } = this.#node
    await rm(directories.pod(this.#pod.metadata.uid), { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Whatever a downward API file may show, or an operator may change to have the volumes looked at. */
function concernsVolumes(before: Pod, after: Pod): boolean {
  const parts = ({ metadata, spec }: Pod) => JSON.stringify([metadata.labels, metadata.annotations, spec])
  return parts(before) !== parts(after)
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((each) => each !== undefined && each !== Infinity) as number[]
  return known.length === 0 ? undefined : Math.min(...known)
}
