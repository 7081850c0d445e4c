import type { ModelContract, Resolved } from '../../../protocol/resolve.ts'
import type { ModelDeployment } from '../../api/resource.ts'
import { revisionSource, type RevisionName, type RevisionSource } from '../revision.ts'
import { VERSION_ANNOTATION, ownedMetadata, revisionLabels, type KubeObject } from './object.ts'
import { podTemplate, type PodTemplate } from './pod-template.ts'

/**
 * A revision, frozen: what a user asked for, what the URI came to, and the pod template that was rendered for it, with the server
 * image that was the default then. An operator upgrade changes none of this, so it restarts nothing.
 */
export interface RevisionRecord {
  readonly revision: RevisionName
  readonly version?: string
  readonly source: RevisionSource
  readonly uri: string
  readonly sha256: string
  /** Of the files beside the model that hold its data; absent when there are none. */
  readonly dataSha256?: string
  readonly sizeBytes: number
  readonly contract: ModelContract
  readonly template: PodTemplate
  /** Number of the ControllerRevision: later ones are greater. */
  readonly number: number
}

export interface FreezeInput {
  readonly owner: ModelDeployment
  readonly revision: RevisionName
  readonly resolved: Resolved
  readonly defaultImage: string
  readonly number: number
}

/** The ControllerRevision of a revision that has just been resolved. Its data is immutable, also to the API server. */
export function controllerRevision(input: FreezeInput): KubeObject {
  const { owner, revision, resolved, number } = input
  const image = owner.spec.server?.image ?? input.defaultImage
  const { uri, sha256, dataSha256, sizeBytes, contract } = resolved
  const version = owner.spec.model.version
  const metadata = ownedMetadata(owner, revision, revisionLabels(owner, revision))
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: version === undefined ? metadata : { ...metadata, annotations: { [VERSION_ANNOTATION]: version } },
    revision: number,
    data: {
      source: revisionSource(owner.spec),
      uri,
      sha256,
      ...(dataSha256 !== undefined && { dataSha256 }),
      sizeBytes,
      contract,
      template: podTemplate({ owner, revision, image, uri, sha256, dataSha256 }),
    },
  }
}

/** What a ControllerRevision holds; undefined when it is not one of ours. */
export function recordOf(object: ControllerRevisionLike): RevisionRecord | undefined {
  const data = object.data as Omit<RevisionRecord, 'revision' | 'version' | 'number'> | undefined
  const name = object.metadata?.name
  if (name === undefined || data?.template === undefined || typeof data.sha256 !== 'string') return undefined
  const version = object.metadata?.annotations?.[VERSION_ANNOTATION]
  return { ...data, revision: name, number: object.revision, ...(version !== undefined && { version }) }
}

interface ControllerRevisionLike {
  readonly metadata?: { readonly name?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly revision: number
  readonly data?: unknown
}
