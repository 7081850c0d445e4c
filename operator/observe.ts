import type {
  V1ConfigMap,
  V1ControllerRevision,
  V1Deployment,
  V1EndpointSlice,
  V1Job,
  V1Pod,
  V1Service,
} from '@kubernetes/client-node'
import type { Evidence } from '../protocol/evidence.ts'
import type { ModelDeployment } from './api/resource.ts'
import { RESOLVE_LABEL, REVISION_LABEL, SCHEME_ANNOTATION, SERVER_PORT } from './core/children/object.ts'
import { trafficConfigMapName, writtenPlan } from './core/children/traffic.ts'
import { recordOf, type RevisionRecord } from './core/children/revision-record.ts'
import { schemeShown } from './core/children/workload.ts'
import { wantsEvidence } from './core/conditions.ts'
import { NO_ANSWERS, tally, type Reading } from './core/gates/samples.ts'
import type { Instant } from './core/instant.ts'
import type { ApplyProblem, Observation, PodSeen, ResolveSeen, TrafficSeen, Workload } from './core/observation.ts'
import { candidateOf, type State } from './core/state.ts'
import type { RevisionName } from './core/revision.ts'
import { decodeState } from './core/status-codec.ts'
import { controllerOf } from './kube/ownership.ts'
import type { KubeObject } from './kube/resource.ts'
import type { Scraper } from './evidence/scraper.ts'
import { PATIENCE_MS, instantOf, isTerminating, podProblem, podSeen, resolveResultOf, shortened } from './pod-state.ts'

/** What the caches hold under the labels of one ModelDeployment, whoever made it. */
export interface CachedChildren {
  readonly deployments: readonly V1Deployment[]
  readonly services: readonly V1Service[]
  readonly jobs: readonly V1Job[]
  readonly pods: readonly V1Pod[]
  readonly endpointSlices: readonly V1EndpointSlice[]
  readonly controllerRevisions: readonly V1ControllerRevision[]
  readonly configMaps: readonly V1ConfigMap[]
}

/** What the operator remembers of one ModelDeployment between two looks; all of it may be lost without harm. */
export interface Memory {
  /** Latest evidence of each pod, for the day it vanishes. */
  readonly readings: readonly Reading[]
  /** What went wrong when the children were last applied. */
  readonly applyProblems: readonly ApplyProblem[]
}

export const NO_MEMORY: Memory = { readings: [], applyProblems: [] }

export interface Look {
  readonly observation: Observation
  /** Readings to remember until the next look. */
  readonly readings: readonly Reading[]
}

/**
 * All reads of one reconcile: caches, and the pods themselves where the rollout has a question for them. Nothing is decided here
 * and nothing is written.
 */
export async function observe(
  resource: ModelDeployment,
  labelled: CachedChildren,
  memory: Memory,
  { scraper, now }: { readonly scraper: Scraper; readonly now: () => Instant },
): Promise<Look> {
  const state = decodeState(resource.status)
  const children = ownedBy(resource, labelled)
  const pods = children.pods.filter((pod) => !isTerminating(pod))
  const evidence = await scraper.read(wantsEvidence(state) ? pods.flatMap(targetOf) : [])
  const seen = pods.map((pod) => ({
    revision: pod.metadata?.labels?.[REVISION_LABEL],
    pod: withEvidence(podSeen(pod, now()), evidence),
  }))
  const workloads = workloadsOf(children, seen)
  const { traffic, readings } = trafficOf(state, workloads, memory.readings)
  const observation: Observation = {
    resource,
    records: recordsOf(children.controllerRevisions),
    workloads,
    resolves: resolvesOf(children, now()),
    reached: reachedBy(resource.metadata.name, children.endpointSlices),
    ...selectedBy(children.services.find((service) => service.metadata?.name === resource.metadata.name)),
    ...writtenIn(resource, children.configMaps),
    applyProblems: memory.applyProblems,
    ...(traffic !== undefined && { traffic }),
  }
  return { observation, readings }
}

/**
 * Law: labels are anybody's to write, so only what this very object controls counts as its child. That leaves out what a planted
 * object says, and what is left of an earlier ModelDeployment of the same name until garbage collection takes it away.
 */
function ownedBy({ metadata }: ModelDeployment, labelled: CachedChildren): CachedChildren {
  const controlledBy = (uids: ReadonlySet<string | undefined>) => (object: KubeObject) =>
    uids.has(controllerOf(object)?.uid)
  const isOurs = controlledBy(new Set([metadata.uid]))
  const deployments = labelled.deployments.filter(isOurs)
  const services = labelled.services.filter(isOurs)
  const jobs = labelled.jobs.filter(isOurs)
  const isOfOurJobs = controlledBy(uidsOf(jobs))
  const revisions = new Set(deployments.map((each) => each.metadata?.name))
  return {
    deployments,
    services,
    jobs,
    controllerRevisions: labelled.controllerRevisions.filter(isOurs),
    configMaps: labelled.configMaps.filter(isOurs),
    // A pod of a Deployment is a ReplicaSet's, which nobody watches here; its revision must be one that we run.
    pods: labelled.pods.filter((pod) => revisions.has(pod.metadata?.labels?.[REVISION_LABEL]) || isOfOurJobs(pod)),
    endpointSlices: labelled.endpointSlices.filter(controlledBy(uidsOf(services))),
  }
}

function uidsOf(objects: readonly KubeObject[]): ReadonlySet<string | undefined> {
  return new Set(objects.flatMap((object) => object.metadata?.uid ?? []))
}

function selectedBy(service: V1Service | undefined): Pick<Observation, 'selected'> {
  const selected = service?.spec?.selector?.[REVISION_LABEL]
  return selected === undefined ? {} : { selected }
}

function writtenIn({ metadata }: ModelDeployment, configMaps: readonly V1ConfigMap[]): Pick<Observation, 'written'> {
  const name = trafficConfigMapName(metadata.name)
  const written = writtenPlan(configMaps.find((each) => each.metadata?.name === name)?.data)
  return written === undefined ? {} : { written }
}

/** Names of the pods behind a Service that get new connections. */
function reachedBy(service: string, slices: readonly V1EndpointSlice[]): ReadonlySet<string> {
  const own = slices.filter((slice) => slice.metadata?.labels?.['kubernetes.io/service-name'] === service)
  const endpoints = own
    .flatMap((slice) => slice.endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false)
  return new Set(endpoints.flatMap((endpoint) => endpoint.targetRef?.name ?? []))
}

function targetOf(pod: V1Pod) {
  const ip = pod.status?.podIP
  const serves = pod.metadata?.labels?.[REVISION_LABEL] !== undefined
  const scheme = pod.metadata?.annotations?.[SCHEME_ANNOTATION] === 'https' ? 'https' : 'http'
  return ip === undefined || !serves ? [] : [{ uid: pod.metadata?.uid ?? '', scheme, ip, port: SERVER_PORT } as const]
}

function withEvidence(pod: PodSeen, evidence: ReadonlyMap<string, Evidence>): PodSeen {
  const own = evidence.get(pod.uid)
  return own === undefined ? pod : { ...pod, evidence: own }
}

function recordsOf(revisions: readonly V1ControllerRevision[]): ReadonlyMap<RevisionName, RevisionRecord> {
  const records = revisions.flatMap((revision) => recordOf(revision) ?? [])
  return new Map(records.map((record) => [record.revision, record]))
}

function workloadsOf(
  children: CachedChildren,
  pods: readonly { readonly revision: string | undefined; readonly pod: PodSeen }[],
): ReadonlyMap<RevisionName, Workload> {
  const byName = <T extends { metadata?: { name?: string } }>(objects: readonly T[]) =>
    new Map(objects.map((each) => [each.metadata?.name, each]))
  const deployments = byName(children.deployments)
  const services = byName(children.services)
  const revisions = [...new Set([...deployments.keys(), ...services.keys()])].filter((each) => each !== undefined)
  return new Map(
    revisions.map((revision) => {
      const [deployment, service] = [deployments.get(revision), services.get(revision)]
      const clusterIP = service?.spec?.clusterIP
      const problem = replicaProblem(deployment)
      const scheme = schemeShown(deployment, service)
      const desiredReplicas = deployment && (deployment.spec?.replicas ?? 1)
      const workload: Workload = {
        pods: pods.filter((each) => each.revision === revision).map((each) => each.pod),
        ...(desiredReplicas !== undefined && { desiredReplicas }),
        ...(problem !== undefined && { problem }),
        ...(clusterIP !== undefined && clusterIP !== 'None' && clusterIP !== '' && { clusterIP }),
        ...(scheme !== undefined && { scheme }),
      }
      return [revision, workload]
    }),
  )
}

/** Pods that are not even created have nothing to say for themselves. */
function replicaProblem(deployment: V1Deployment | undefined): string | undefined {
  const failure = deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  )
  return failure && shortened(`${failure.reason ?? 'FailedCreate'}: ${failure.message ?? ''}`)
}

function resolvesOf(children: CachedChildren, now: Instant): ReadonlyMap<RevisionName, ResolveSeen> {
  return new Map(
    children.jobs.flatMap((job) => {
      const revision = job.metadata?.labels?.[RESOLVE_LABEL]
      if (revision === undefined || job.metadata?.deletionTimestamp !== undefined) return []
      const pods = children.pods.filter((pod) =>
        pod.metadata?.ownerReferences?.some((owner) => owner.uid === job.metadata?.uid),
      )
      return [[revision, resolveSeen(job, pods, now)] as const]
    }),
  )
}

/** The pod's own words count, as soon as its container ended; a Job that failed without a pod to ask was interrupted. */
function resolveSeen(job: V1Job, pods: readonly V1Pod[], now: Instant): ResolveSeen {
  for (const pod of pods) {
    const result = resolveResultOf(pod)
    if (result !== undefined) return { state: 'Finished', result, finishedAt: finishedAt(pod) }
  }
  const failed = job.status?.conditions?.find((condition) => condition.type === 'Failed' && condition.status === 'True')
  if (failed !== undefined) {
    const message = `the resolve Job failed: ${failed.message ?? failed.reason ?? 'no reason was given'}`
    return {
      state: 'Finished',
      result: { ok: false, reason: 'Interrupted', message },
      finishedAt: instantOf(failed.lastTransitionTime) ?? 0,
    }
  }
  const problem = pods.length === 0 ? podlessProblem(job, now) : firstOf(pods.map((pod) => podProblem(pod, now)))
  return { state: 'Running', ...(problem !== undefined && { problem }) }
}

/** A Job says only in Events why its pod is refused, and these are not read. */
function podlessProblem({ metadata }: V1Job, now: Instant): string | undefined {
  const createdAt = instantOf(metadata?.creationTimestamp)
  if (createdAt === undefined || now - createdAt < PATIENCE_MS) return undefined
  return `Job ${metadata?.name ?? ''} has no pod yet: a quota, a policy or a missing service account may forbid it; its Events say what does`
}

function firstOf(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((each) => each !== undefined)
}

function finishedAt(pod: V1Pod): Instant {
  return instantOf(pod.status?.containerStatuses?.[0]?.state?.terminated?.finishedAt) ?? 0
}

/** Sums of the plan in force over stable's pods, which are the ones that count for both sides. */
function trafficOf(
  state: State,
  workloads: ReadonlyMap<RevisionName, Workload>,
  previous: readonly Reading[],
): { readonly traffic?: TrafficSeen; readonly readings: readonly Reading[] } {
  const candidate = candidateOf(state.rollout)
  const { stable, rollout, plan } = state
  if (stable === undefined || candidate === undefined || rollout.phase !== 'Shifting') return { readings: [] }
  // A pod that is not ready yet has answered nobody; one that no longer is has answers that count.
  const pods = workloads.get(stable)?.pods.filter((pod) => pod.ready || pod.evidence !== undefined) ?? []
  const sums = tally({
    planId: plan.id,
    revisions: [stable, candidate],
    ...(rollout.departed !== undefined && { departed: rollout.departed }),
    previous,
    pods,
  })
  const samples = {
    stable: sums.answers[stable] ?? NO_ANSWERS,
    candidate: sums.answers[candidate] ?? NO_ANSWERS,
    unread: sums.unread,
  }
  const anybodyLeft = sums.departed.instances.length > 0
  return {
    traffic: { planId: plan.id, samples, ...(anybodyLeft && { departed: sums.departed }) },
    readings: sums.readings,
  }
}
