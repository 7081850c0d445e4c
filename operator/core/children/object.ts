import { GROUP, KIND, VERSION, type ModelDeployment } from '../../api/resource.ts'
import type { RevisionName } from '../revision.ts'

/** A Kubernetes object as plain JSON, with the metadata that Penstock sets. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly OwnerReference[]
  }
  readonly [field: string]: unknown
}

interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller: true
  readonly blockOwnerDeletion: true
}

export const NAME_LABEL = 'penstock.dev/modeldeployment'
export const REVISION_LABEL = 'penstock.dev/revision'
/** On resolve Jobs and their pods, in the place of REVISION_LABEL, so that no Service or budget ever counts them. */
export const RESOLVE_LABEL = 'penstock.dev/resolve'
export const VERSION_ANNOTATION = 'penstock.dev/version'
/** Of a pod that speaks TLS, with the value `https`. */
export const SCHEME_ANNOTATION = 'penstock.dev/scheme'
export const NUDGE_ANNOTATION = 'penstock.dev/traffic-nudge'
export const MANAGED_BY = 'penstock'
export const SERVER_PORT = 8080
/** Of gRPC. */
export const GRPC_PORT = 9000
export const SERVER_CONTAINER = 'server'
export const FETCH_CONTAINER = 'fetch'

export function commonLabels(owner: ModelDeployment): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'penstock-model',
    'app.kubernetes.io/instance': owner.metadata.name,
    'app.kubernetes.io/managed-by': MANAGED_BY,
    [NAME_LABEL]: owner.metadata.name,
  }
}

export function revisionLabels(owner: ModelDeployment, revision: RevisionName): Record<string, string> {
  return { ...commonLabels(owner), [REVISION_LABEL]: revision }
}

/** What selects the pods of one revision. Revision names are unique in a namespace by construction. */
export function revisionSelector(revision: RevisionName): Record<string, string> {
  return { [REVISION_LABEL]: revision }
}

export function ownedMetadata(
  owner: ModelDeployment,
  name: string,
  labels: Readonly<Record<string, string>>,
): KubeObject['metadata'] {
  return {
    name,
    namespace: owner.metadata.namespace,
    labels,
    ownerReferences: [
      {
        apiVersion: `${GROUP}/${VERSION}`,
        kind: KIND,
        name: owner.metadata.name,
        uid: owner.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  }
}
