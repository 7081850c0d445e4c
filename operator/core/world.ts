/**
 * A small model of a cluster for tests of the core: it carries out plans one write at a time, so that a test can crash between any
 * two of them, and it moves pods, resolve Jobs and traffic on as a cluster would. It knows nothing of rollouts.
 */
import type { Answers, Evidence } from '../../protocol/evidence.ts'
import { planKey, type PlanFile } from '../../protocol/plan.ts'
import type { ResolveResult } from '../../protocol/resolve.ts'
import type { ModelDeployment, ModelDeploymentSpec, ModelDeploymentStatus } from '../api/resource.ts'
import type { Child } from './children/children.ts'
import { REVISION_LABEL, type KubeObject } from './children/object.ts'
import { writtenPlan } from './children/traffic.ts'
import { schemeShown } from './children/workload.ts'
import { recordOf } from './children/revision-record.ts'
import { NO_ANSWERS } from './gates/samples.ts'
import type { ApplyProblem, Observation, PodSeen, ResolveSeen, Workload } from './observation.ts'
import type { Plan } from './plan.ts'
import type { RevisionName } from './revision.ts'

/** How the pods of one model behave. */
export interface Behaviour {
  readonly resolve: ResolveResult
  /** Of 100 requests that are given to it, so many fail. */
  readonly failsOf100: number
  /** False for a server that never becomes ready. */
  readonly becomesReady: boolean
  /** True for a server whose container restarts as soon as it has traffic. */
  readonly crashesUnderTraffic?: boolean
}

/** What one pod got from one revision in one pass. */
interface Count {
  readonly behaviour: Behaviour
  ok: number
  error: number
}

interface Pod {
  readonly name: string
  readonly revision: RevisionName
  ready: boolean
  readyChangedAt: number
  restarts: number
  restartedAt?: number
  planId: number
  directRequests: number
  answers: Record<RevisionName, Answers>
  nudge?: string
}

export const GOOD: Behaviour = {
  resolve: {
    ok: true,
    uri: 'https://models.example/m.onnx',
    sha256: 'a'.repeat(64),
    dataSha256: 'd'.repeat(64),
    sizeBytes: 1,
    contract: { inputs: [], outputs: [], opsets: {}, irVersion: 8, rewrites: [] },
  },
  failsOf100: 0,
  becomesReady: true,
}

export class World {
  now = Date.parse('2026-01-01T00:00:00Z')
  resource: ModelDeployment
  readonly objects = new Map<string, KubeObject>()
  readonly pods: Pod[] = []
  /** Requests of users that nobody could answer, once anybody could. */
  unanswered = 0
  writes = 0
  /** Addresses that differ from 10.0.0.1. */
  readonly clusterIPs = new Map<RevisionName, string>()
  /** False while pods cannot be asked. */
  podsAnswer = true
  /** False while ConfigMaps do not reach the pods. */
  plansArrive = true
  /** What the API server says against an object, `Deployment m-1a2b3c4d5e`; it is not made then. */
  refuses: (object: string) => ApplyProblem | undefined = () => undefined
  readonly behaviours: (uri: string) => Behaviour
  readonly #planFiles = new Map<string, PlanFile>()
  #podNumber = 0
  #everServed = false
  #applyProblems: ApplyProblem[] = []
  readonly #finishedJobs = new Map<string, number>()
  readonly #replicas = new Map<RevisionName, number>()

  constructor(spec: ModelDeploymentSpec, behaviours: (uri: string) => Behaviour) {
    this.behaviours = behaviours
    this.resource = {
      metadata: { name: 'm', namespace: 'ns', uid: 'uid', generation: 1, resourceVersion: '1', creationTimestamp: '' },
      spec,
    }
  }

  setSpec(spec: ModelDeploymentSpec): void {
    this.resource = {
      ...this.resource,
      spec,
      metadata: { ...this.resource.metadata, generation: this.resource.metadata.generation + 1 },
    }
  }

  annotate(action: { id: string; verb: string; revision: string }): void {
    const annotations = { 'penstock.dev/action': JSON.stringify(action) }
    this.resource = { ...this.resource, metadata: { ...this.resource.metadata, annotations } }
  }

  /** Somebody deletes an object behind the operator's back; a Deployment takes its pods along. */
  remove(key: string): void {
    this.objects.delete(key)
    const [kind, name = ''] = key.split('/')
    if (kind === 'Deployment') this.#replicas.delete(name)
    if (kind === 'Job') this.#finishedJobs.delete(key)
  }

  /** Somebody scales a Deployment, as an autoscaler or a person does. */
  scale(revision: RevisionName, replicas: number): void {
    this.#replicas.set(revision, replicas)
  }

  get serves(): RevisionName | undefined {
    const selector = (this.objects.get('Service/m')?.spec as { selector?: Record<string, string> } | undefined)
      ?.selector
    return selector?.[REVISION_LABEL]
  }

  /** True when time alone changes nothing: every pod that is asked for is there, is ready if it ever will be, and runs the latest plan. */
  get isSettled(): boolean {
    const wanted = [...this.#replicas.values()].reduce((sum, count) => sum + count, 0)
    const current = this.pods.every((pod) => pod.planId === (this.#planFile(pod.revision)?.id ?? 0))
    const started = this.pods.every((pod) => pod.ready || !this.#behaviourOf(pod.revision).becomesReady)
    return current && started && this.pods.length === wanted
  }

  replicasOf(revision: RevisionName): number | undefined {
    return this.#replicas.get(revision)
  }

  observe(): Observation {
    const records = [...this.objects.values()]
      .filter((each) => each.kind === 'ControllerRevision')
      .flatMap((each) => recordOf(each as never) ?? [])
    const services = [...this.objects.values()].filter((each) => each.kind === 'Service')
    const ofServices = services.flatMap((each) => each.metadata.labels?.[REVISION_LABEL] ?? [])
    const revisions = new Set([...records.map((record) => record.revision), ...this.#replicas.keys(), ...ofServices])
    const plan = this.resource.status?.plan
    const written = writtenPlan(this.objects.get('ConfigMap/m-traffic')?.data as Record<string, string> | undefined)
    return {
      resource: this.resource,
      records: new Map(records.map((record) => [record.revision, record])),
      workloads: new Map([...revisions].map((revision) => [revision, this.#workload(revision)])),
      resolves: this.#resolves(),
      ...(written !== undefined && { written }),
      ...(this.serves !== undefined && { selected: this.serves }),
      reached: new Set(this.pods.filter((pod) => pod.revision === this.serves && pod.ready).map((pod) => pod.name)),
      applyProblems: this.#applyProblems,
      ...(plan?.candidate !== undefined && {
        traffic: {
          planId: plan.id,
          samples: { stable: this.#sum(plan.id, plan.stable ?? ''), candidate: this.#sum(plan.id, plan.candidate) },
        },
      }),
    }
  }

  /** Carries out the first `limit` writes of a plan, status first; the rest is lost, as in a crash. True when all were done. */
  commit(plan: Plan, limit = Infinity): boolean {
    const writes = [
      () => (this.resource = { ...this.resource, status: asStored(plan.status) }),
      ...plan.children.map((child) => () => this.#make(child)),
      ...plan.nudges.map((nudge) => () => {
        const pod = this.pods.find((each) => each.name === nudge.pod)
        if (pod) pod.nudge = nudge.value
      }),
      () => this.#prune(plan.children),
    ]
    const done = writes.slice(0, limit)
    this.#applyProblems = []
    for (const write of done) write()
    this.writes += done.length
    return done.length === writes.length
  }

  /** Lets some time pass: Jobs end, pods start, plans arrive, users send `requests` requests. */
  pass(milliseconds: number, requests: number): void {
    this.now += milliseconds
    this.#runJobs()
    this.#runPods()
    this.#deliverPlans()
    this.#send(requests)
  }

  #make(child: Child): void {
    if (child.want === 'keep') {
      if (child.replicas !== undefined && this.#replicas.has(child.name)) this.#replicas.set(child.name, child.replicas)
      return
    }
    const { object } = child
    const key = `${object.kind}/${object.metadata.name}`
    const refused = this.refuses(key.replace('/', ' '))
    if (refused !== undefined) {
      this.#applyProblems = [...this.#applyProblems, refused]
      return
    }
    if (child.want === 'create') {
      if (!this.objects.has(key)) this.objects.set(key, object)
      return
    }
    this.objects.set(key, object)
    if (child.want !== 'scale') return
    const name = object.metadata.name
    this.#replicas.set(name, child.replicas ?? this.#replicas.get(name) ?? child.initialReplicas)
  }

  #prune(children: readonly Child[]): void {
    const wanted = new Set(
      children.map((child) =>
        child.want === 'keep' ? `${child.kind}/${child.name}` : `${child.object.kind}/${child.object.metadata.name}`,
      ),
    )
    for (const key of [...this.objects.keys()].filter((each) => !wanted.has(each))) {
      this.remove(key)
    }
  }

  #runJobs(): void {
    for (const key of this.objects.keys()) {
      if (key.startsWith('Job/') && !this.#finishedJobs.has(key)) this.#finishedJobs.set(key, this.now)
    }
  }

  #resolves(): Map<RevisionName, ResolveSeen> {
    const jobs = [...this.objects.entries()].filter(([key]) => key.startsWith('Job/'))
    return new Map(
      jobs.map(([key, job]) => {
        const finishedAt = this.#finishedJobs.get(key)
        const revision = job.metadata.name.replace(/-resolve$/, '')
        const uri = /--uri=(\S+)/.exec(JSON.stringify(job.spec).replaceAll('"', ' '))?.[1] ?? ''
        return [
          revision,
          finishedAt === undefined
            ? { state: 'Running' }
            : { state: 'Finished', finishedAt, result: this.behaviours(uri).resolve },
        ]
      }),
    )
  }

  #behaviourOf(revision: RevisionName): Behaviour {
    const data = this.objects.get(`ControllerRevision/${revision}`)?.data as
      { source: { model: { uri: string } } } | undefined
    return this.behaviours(data?.source.model.uri ?? '')
  }

  #runPods(): void {
    for (const pod of [...this.pods]) {
      const wanted = this.#replicas.get(pod.revision) ?? 0
      const index = this.pods.filter((each) => each.revision === pod.revision).indexOf(pod)
      if (index >= wanted) this.pods.splice(this.pods.indexOf(pod), 1)
      else if (!pod.ready && this.#behaviourOf(pod.revision).becomesReady)
        Object.assign(pod, { ready: true, readyChangedAt: this.now })
    }
    for (const [revision, wanted] of this.#replicas) {
      for (let have = this.pods.filter((pod) => pod.revision === revision).length; have < wanted; have += 1) {
        this.pods.push({
          name: `${revision}-${(this.#podNumber += 1)}`,
          revision,
          ready: false,
          readyChangedAt: this.now,
          restarts: 0,
          planId: 0,
          directRequests: 0,
          answers: {},
        })
      }
    }
  }

  #planFile(revision: RevisionName): PlanFile | undefined {
    const text = (this.objects.get('ConfigMap/m-traffic')?.data as Record<string, string> | undefined)?.[
      planKey(revision)
    ]
    if (text === undefined) return undefined
    const file = this.#planFiles.get(text) ?? (JSON.parse(text) as PlanFile)
    this.#planFiles.set(text, file)
    return file
  }

  #deliverPlans(): void {
    for (const pod of this.plansArrive ? this.pods : []) {
      const file = this.#planFile(pod.revision)
      if (file === undefined || file.id <= pod.planId) continue
      pod.planId = file.id
      pod.answers = {}
    }
  }

  #send(requests: number): void {
    const ready = this.pods.filter((pod) => pod.revision === this.serves && pod.ready)
    if (ready.length === 0) {
      if (this.#everServed) this.unanswered += requests
      return
    }
    this.#everServed ||= requests > 0
    const files = new Map(ready.map((pod) => [pod, this.#planFile(pod.revision)]))
    const answered = new Map(ready.map((pod) => [pod, new Map<RevisionName, Count>()]))
    for (let number = 0; number < requests; number += 1) {
      const pod = ready[number % ready.length]!
      pod.directRequests += 1
      const file = files.get(pod)
      const relays = file?.id === pod.planId && number % 1000 < file.weightPermille
      const revision = (relays ? file.peer?.revision : undefined) ?? pod.revision
      const counts = answered.get(pod)!
      const count = counts.get(revision) ?? { behaviour: this.#behaviourOf(revision), ok: 0, error: 0 }
      counts.set(revision, count)
      if ((number * 7919) % 100 < count.behaviour.failsOf100) count.error += 1
      else count.ok += 1
    }
    for (const [pod, counts] of answered) for (const [revision, count] of counts) this.#answer(pod, revision, count)
  }

  #answer(pod: Pod, revision: RevisionName, { behaviour, ok, error }: Count): void {
    const before = pod.answers[revision] ?? NO_ANSWERS
    pod.answers[revision] = {
      ...before,
      ok: before.ok + ok,
      error: before.error + error,
      latency: { ...before.latency, '50': (before.latency['50'] ?? 0) + ok },
    }
    if (!behaviour.crashesUnderTraffic) return
    for (const victim of this.pods.filter((each) => each.revision === revision)) {
      Object.assign(victim, { restarts: victim.restarts + ok + error, restartedAt: this.now })
    }
  }

  #sum(planId: number, revision: RevisionName): Answers {
    const parts = this.pods.filter((pod) => pod.planId === planId).flatMap((pod) => pod.answers[revision] ?? [])
    return parts.reduce(
      (sum, part) => ({
        ...sum,
        ok: sum.ok + part.ok,
        error: sum.error + part.error,
        latency: { '50': (sum.latency['50'] ?? 0) + (part.latency['50'] ?? 0) },
      }),
      NO_ANSWERS,
    )
  }

  #workload(revision: RevisionName): Workload {
    const desiredReplicas = this.#replicas.get(revision)
    const live = (kind: string) => this.objects.get(`${kind}/${revision}`) as object | undefined
    const scheme = schemeShown(live('Deployment'), live('Service'))
    return {
      ...(scheme !== undefined && { scheme }),
      ...(desiredReplicas !== undefined && { desiredReplicas }),
      ...(this.objects.has(`Service/${revision}`) && { clusterIP: this.clusterIPs.get(revision) ?? '10.0.0.1' }),
      pods: this.pods.filter((pod) => pod.revision === revision).map((pod) => this.#podSeen(pod)),
    }
  }

  #podSeen(pod: Pod): PodSeen {
    const { name, ready, readyChangedAt, restarts, restartedAt, nudge } = pod
    const record = this.objects.get(`ControllerRevision/${pod.revision}`)
    const evidence: Evidence = {
      instance: name,
      revision: pod.revision,
      version: '',
      sha256: (record === undefined ? undefined : recordOf(record as never))?.sha256 ?? '',
      ready,
      planId: pod.planId,
      breaker: 'closed',
      directRequests: pod.directRequests,
      relayedIn: 0,
      answers: pod.answers,
    }
    const optional = { ...(restartedAt !== undefined && { restartedAt }), ...(nudge !== undefined && { nudge }) }
    return { name, uid: name, ready, readyChangedAt, restarts, ...(this.podsAnswer && { evidence }), ...optional }
  }
}

/** As it comes back from an API server. */
function asStored(status: ModelDeploymentStatus): ModelDeploymentStatus {
  return JSON.parse(JSON.stringify(status)) as ModelDeploymentStatus
}
