import { GROUP, KIND, VERSION, type ModelDeployment, type ModelDeploymentStatus } from './api/resource.ts'
import { MODEL_DEPLOYMENT, type Caches } from './caches.ts'
import type { ChildrenWriter } from './children-writer.ts'
import type { Client } from './kube/client.ts'
import { isConflict, isNotFound, unlessNotFound } from './kube/errors.ts'
import type { EventRecorder } from './kube/events.ts'
import type { Cluster, CommitResult } from './reconcile.ts'

export interface ClusterOptions {
  readonly client: Client
  readonly caches: Caches
  readonly writer: ChildrenWriter
  readonly recorder: EventRecorder
}

/** The cluster behind a reconcile: caches for what it reads, the API server for the few things it writes. */
export function createCluster({ client, caches, writer, recorder }: ClusterOptions): Cluster {
  return {
    modelDeployment: (key) => caches.modelDeployment(key),
    freshModelDeployment: (key) => unlessNotFound(client.get(MODEL_DEPLOYMENT, key)),
    childrenOf: ({ metadata }) => ({
      deployments: caches.owned('Deployment', metadata),
      services: caches.owned('Service', metadata),
      jobs: caches.owned('Job', metadata),
      controllerRevisions: caches.owned('ControllerRevision', metadata),
      configMaps: caches.owned('ConfigMap', metadata),
      pods: caches.pods(metadata),
      endpointSlices: caches.endpointSlices(metadata),
    }),
    commitStatus: (resource, status) => commitStatus(client, resource, status),
    makeChildren: (owner, children) => writer.make(owner, children),
    nudge: (owner, nudges) => writer.nudge(owner, nudges),
    announce(owner, announcements) {
      const regarding = { apiVersion: `${GROUP}/${VERSION}`, kind: KIND, metadata: owner.metadata }
      for (const { type, reason, action, message } of announcements) {
        recorder.record(regarding, { type, reason, action, note: message })
      }
    },
  }
}

/** A replacement, not a merge: what the status no longer says is gone. The resourceVersion makes a stale writer fail. */
async function commitStatus(
  client: Client,
  resource: ModelDeployment,
  status: ModelDeploymentStatus,
): Promise<CommitResult> {
  try {
    return {
      result: 'Written',
      resource: await client.updateStatus(MODEL_DEPLOYMENT, { ...resource, status }, { fieldManager: 'penstock' }),
    }
  } catch (error) {
    if (isConflict(error)) return { result: 'Conflict' }
    if (isNotFound(error)) return { result: 'Gone' }
    throw error
  }
}
