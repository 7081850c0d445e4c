import type { Deployment, Job, LabelSelector, Pod, ReplicaSet } from './objects.ts'
import { timestamp } from './timestamps.ts'

/** Objects for the controllers' tests: small, complete, and each field that matters named by the test that needs it. */

export const T0 = Date.parse('2026-01-01T00:00:00Z')

const selector: LabelSelector = { matchLabels: { app: 'web' } }

export interface PodFacts {
  readonly phase?: string
  readonly ready?: boolean
  readonly readySince?: number
  readonly node?: string
  readonly deleting?: boolean
  readonly created?: number
  readonly annotations?: Record<string, string>
  readonly labels?: Record<string, string>
  readonly finalizers?: string[]
  readonly restarts?: number
  readonly ip?: string
  readonly finishedAt?: number
  readonly owner?: { apiVersion: string; kind: string; name: string; uid: string }
}

export function examplePod(name: string, facts: PodFacts = {}): Pod {
  const { phase = 'Running', ready = true, node = 'node-1', created = T0, restarts = 0 } = facts
  const lastTransitionTime = timestamp(facts.readySince ?? created)
  const state =
    facts.finishedAt === undefined ? {} : { state: { terminated: { finishedAt: timestamp(facts.finishedAt) } } }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: podMeta(name, facts),
    spec: {
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080 }] }],
      ...(node === '' ? {} : { nodeName: node }),
    },
    status: {
      phase,
      startTime: timestamp(created),
      podIP: facts.ip ?? '10.0.0.1',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime }],
      containerStatuses: [{ name: 'main', restartCount: restarts, ...state }],
    },
  }
}

function podMeta(name: string, facts: PodFacts): Pod['metadata'] {
  const { created = T0, labels = { app: 'web' } } = facts
  return {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    resourceVersion: '1',
    creationTimestamp: timestamp(created),
    labels,
    ...(facts.annotations === undefined ? {} : { annotations: facts.annotations }),
    ...(facts.finalizers === undefined ? {} : { finalizers: facts.finalizers }),
    ...(facts.deleting === true ? { deletionTimestamp: timestamp(created) } : {}),
    ...(facts.owner === undefined ? {} : { ownerReferences: [{ ...facts.owner, controller: true }] }),
  }
}

export function exampleReplicaSet(
  name: string,
  spec: Partial<ReplicaSet['spec']> = {},
  metadata: Partial<ReplicaSet['metadata']> = {},
): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: timestamp(T0),
      ...metadata,
    },
    spec: {
      replicas: 1,
      selector,
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: name }] } },
      ...spec,
    },
  }
}

export function exampleDeployment(
  spec: Partial<Deployment['spec']> = {},
  status: Deployment['status'] = {},
): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'uid-web',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: timestamp(T0),
    },
    spec: {
      replicas: 1,
      selector,
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } },
      ...spec,
    },
    status,
  }
}

export function exampleJob(spec: Partial<Job['spec']> = {}, status: Job['status'] = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: 'fetch',
      namespace: 'default',
      uid: 'uid-fetch',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: timestamp(T0),
    },
    spec: {
      parallelism: 1,
      completions: 1,
      template: { spec: { containers: [{ name: 'main' }], restartPolicy: 'Never' } },
      ...spec,
    },
    status,
  }
}
