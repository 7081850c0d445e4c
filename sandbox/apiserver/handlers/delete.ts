/** Deletion: at once, or first a deletionTimestamp while finalizers, a kubelet or the namespace's contents hold the object. */
import { timestamp, type Cluster } from '../cluster.ts'
import { invalid } from '../field-error.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { listAt, numberAt, objectAt, stringAt, type Json, type KubeObject, textOf } from '../json.ts'
import { apiVersionOf, type ResourceType } from '../kinds/resource-type.ts'
import { ApiError, conflict, invalidObject, notFound, success } from '../status.ts'
import { finalizersOf } from '../validation/metadata.ts'
import { isDryRun } from './options.ts'
import { selectionOf, served } from './selection.ts'

type Propagation = 'Orphan' | 'Background' | 'Foreground' | undefined

export interface DeleteOptions {
  readonly propagation: Propagation
  readonly orphanDependents: boolean | undefined
  readonly gracePeriodSeconds: number | undefined
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  readonly dryRun: boolean
}

const ORPHAN = 'orphan'
const FOREGROUND = 'foregroundDeletion'

/** Reads DeleteOptions from the body, and from the query where the body is silent. */
export function deleteOptionsOf(request: ApiRequest): DeleteOptions {
  const body = request.body.length > 0 ? parseObject(request.body, request.mediaType) : {}
  const { query } = request
  const orphan: Json | undefined = body['orphanDependents'] ?? query.get('orphanDependents') ?? undefined
  const orphanDependents = orphan === undefined ? undefined : orphan === true || orphan === 'true'
  const grace = numberAt(body, 'gracePeriodSeconds') ?? numberOf(query.get('gracePeriodSeconds'))
  const dryRuns = listAt(body, 'dryRun').map(textOf)
  return {
    propagation:
      propagationOf(stringAt(body, 'propagationPolicy') ?? query.get('propagationPolicy')) ??
      (orphanDependents ? 'Orphan' : undefined),
    orphanDependents,
    gracePeriodSeconds: grace !== undefined && grace < 0 ? 1 : grace,
    uid: stringAt(body, 'preconditions', 'uid'),
    resourceVersion: stringAt(body, 'preconditions', 'resourceVersion'),
    dryRun: isDryRun(dryRuns.length > 0 ? dryRuns : query.getAll('dryRun'), 'DeleteOptions'),
  }
}

function propagationOf(text: string | null): Propagation {
  if (text === null || text === '') return undefined
  if (text === 'Orphan' || text === 'Background' || text === 'Foreground') return text
  const error = invalid('propagationPolicy', text, 'must be one of: Foreground, Background, Orphan')
  throw invalidObject({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [error])
}

export function remove(cluster: Cluster, request: ApiRequest): Reply {
  const options = deleteOptionsOf(request)
  const { type } = request
  const stored = cluster.store.get(type.shelf, request)
  if (!stored) throw notFound(type, request.name)
  const outcome = removeObject(cluster, type, stored, options)
  const object = served(request, outcome.object)
  if (!outcome.gone) return answer(object, options.orphanDependents === false ? 202 : 200)
  if (type.strategy.returnsDeleted) return answer(object)
  return answer(success(type, request.name, object.metadata['uid'] ?? ''))
}

export function removeCollection(cluster: Cluster, request: ApiRequest): Reply {
  const options = deleteOptionsOf(request)
  const selected = selectionOf(request)
  const { type } = request
  const doomed = cluster.store.list(type.shelf, request.namespace).filter((stored) => selected(served(request, stored)))
  const items = doomed.map((stored) => served(request, removeObject(cluster, type, stored, options).object))
  const metadata = { resourceVersion: String(cluster.store.version) }
  return { kind: 'list', list: { kind: type.listKind, apiVersion: apiVersionOf(type), metadata }, items }
}

export interface RemovalOutcome {
  readonly object: KubeObject
  readonly gone: boolean
}

/** Deletes one object as far as it can be deleted now. */
export function removeObject(
  cluster: Cluster,
  type: ResourceType,
  stored: KubeObject,
  options: DeleteOptions,
): RemovalOutcome {
  checkPreconditions(type, stored, options)
  const finalizers = finalizersFor(type, stored, options)
  const grace = type.strategy.gracePeriodSeconds?.(stored, options.gracePeriodSeconds) ?? 0
  const held = finalizers.length > 0 || grace > 0 || isHeldNamespace(stored)
  if (!held) {
    if (options.dryRun) return { object: stored, gone: true }
    const object = cluster.store.remove(type.shelf, withFinalizers(stored, finalizers))
    type.strategy.afterDelete?.(object)
    return { object, gone: true }
  }
  const marked = markDeleted(cluster, withFinalizers(stored, finalizers), grace)
  if (marked === stored || options.dryRun) return { object: marked, gone: false }
  return { object: cluster.store.put(type.shelf, marked), gone: false }
}

function checkPreconditions(type: ResourceType, stored: KubeObject, options: DeleteOptions): void {
  const { metadata } = stored
  if (options.uid !== undefined && options.uid !== metadata['uid']) {
    const why = `the UID in the precondition (${options.uid}) does not match the UID in record (${textOf(metadata['uid'])}). The object might have been deleted and then recreated`
    throw conflict(type, metadata.name, why)
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== metadata['resourceVersion']) {
    const why = `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${textOf(metadata['resourceVersion'])}). The object might have been modified`
    throw conflict(type, metadata.name, why)
  }
}

/** Which finalizers hold the object after this request: the propagation policy puts or takes the garbage collector's own. */
function finalizersFor(type: ResourceType, stored: KubeObject, options: DeleteOptions): string[] {
  const present = [...new Set([...finalizersOf(stored), ...(type.strategy.finalizersOnDelete ?? [])])]
  const rest = present.filter((each) => each !== ORPHAN && each !== FOREGROUND)
  switch (options.propagation) {
    case 'Orphan':
      return [...rest, ORPHAN]
    case 'Foreground':
      return [...rest, FOREGROUND]
    case 'Background':
      return rest
    case undefined:
      if (present.includes(ORPHAN) || present.includes(FOREGROUND)) return present
      return type.strategy.orphansByDefault && options.orphanDependents !== false ? [...present, ORPHAN] : present
  }
}

function isHeldNamespace(stored: KubeObject): boolean {
  return stored.kind === 'Namespace' && listAt(objectAt(stored, 'spec'), 'finalizers').length > 0
}

function withFinalizers(stored: KubeObject, finalizers: readonly string[]): KubeObject {
  if (finalizersOf(stored).join() === finalizers.join()) return stored
  const { finalizers: _old, ...metadata } = stored.metadata
  return {
    ...stored,
    metadata: {
      ...metadata,
      name: stored.metadata.name,
      ...(finalizers.length > 0 ? { finalizers: [...finalizers] } : {}),
    },
  }
}

/** Sets the deletionTimestamp; a later request may only shorten the time that is left. */
function markDeleted(cluster: Cluster, object: KubeObject, grace: number): KubeObject {
  const { metadata } = object
  const before = numberAt(object, 'metadata', 'deletionGracePeriodSeconds')
  if (metadata['deletionTimestamp'] !== undefined && (before === undefined || grace >= before)) return object
  const generation = numberAt(object, 'metadata', 'generation')
  const firstTime = metadata['deletionTimestamp'] === undefined
  const marked: KubeObject = {
    ...object,
    metadata: {
      ...metadata,
      deletionTimestamp: timestamp(cluster.clock() + grace * 1000),
      deletionGracePeriodSeconds: grace,
      ...(generation !== undefined && firstTime ? { generation: generation + 1 } : {}),
    },
  }
  if (object.kind === 'Namespace') marked['status'] = { ...objectAt(object, 'status'), phase: 'Terminating' }
  return marked
}

function numberOf(text: string | null): number | undefined {
  if (text === null) return undefined
  const value = Number(text)
  if (!Number.isInteger(value)) throw new ApiError(400, 'BadRequest', `invalid gracePeriodSeconds: ${text}`)
  return value
}
