/** Server-side apply: PATCH with application/apply-patch+yaml. */
import { hasManagedFields, trackApply } from '../apply/track.ts'
import { NotMergeable, undeclaredFields } from '../apply/typed.ts'
import type { Cluster } from '../cluster.ts'
import { describe, required, toCause } from '../field-error.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { clone, stringAt, type JsonObject, type KubeObject } from '../json.ts'
import { apiVersionOf } from '../kinds/resource-type.ts'
import { ApiError, badRequest, conflict, MODIFIED, notFound } from '../status.ts'
import { writeOptionsOf, type WriteOptions } from './options.ts'
import { served } from './selection.ts'
import {
  carryOver,
  checkIdentity,
  contextOf,
  decodeRequestObject,
  fillNewMetadata,
  managerOf,
  storeNew,
  storeUpdate,
} from './write.ts'

const PATCH_OPTIONS = { group: 'meta.k8s.io', kind: 'PatchOptions' }

export function apply(cluster: Cluster, request: ApiRequest): Reply {
  if (!request.query.get('fieldManager')) {
    const error = required('fieldManager', 'is required for apply patch')
    throw new ApiError(422, 'Invalid', `PatchOptions.meta.k8s.io "" is invalid: ${describe(error)}`, {
      ...PATCH_OPTIONS,
      causes: [toCause(error)],
    })
  }
  const options = writeOptionsOf(request, 'PatchOptions')
  const sent = parseObject(request.body, request.mediaType)
  if (!sent['apiVersion'] || !sent['kind'])
    throw badRequest("Object 'Kind' is missing in the applied configuration; apiVersion and kind must be set")
  refuseUndeclared(request, sent)
  const config = decodeRequestObject(request, sent, options, 'as sent')
  if (hasManagedFields(config)) throw badRequest('metadata.managedFields must be nil')
  checkIdentity(request, config)
  const stored = cluster.store.get(request.type.shelf, request)
  return stored
    ? applyToLive(cluster, request, { live: served(request, stored), config }, options)
    : applyNew(cluster, request, config, options)
}

function applyToLive(
  cluster: Cluster,
  request: ApiRequest,
  { live, config }: { live: KubeObject; config: KubeObject },
  options: WriteOptions,
): Reply {
  const { type } = request
  const version = stringAt(config, 'metadata', 'resourceVersion')
  if (version && version !== live.metadata['resourceVersion']) throw conflict(type, request.name, MODIFIED)
  const uid = stringAt(config, 'metadata', 'uid')
  if (uid && uid !== live.metadata['uid']) {
    throw conflict(
      type,
      request.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${String(stringAt(live, 'metadata', 'uid'))}`,
    )
  }
  const context = contextOf(cluster, request, options)
  const applied = normalised(request, tracked(request, { live, config }, options, context.now))
  carryOver(applied, live)
  type.strategy.applyDefaults(applied)
  return answer(storeUpdate(cluster, request, { live, object: applied }, context))
}

function applyNew(cluster: Cluster, request: ApiRequest, config: KubeObject, options: WriteOptions): Reply {
  const { type } = request
  if (request.subresource) throw notFound(type, request.name)
  const uid = stringAt(config, 'metadata', 'uid')
  if (uid)
    throw conflict(
      type,
      request.name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    )
  const blank = { ...clone(type.strategy.blank), apiVersion: apiVersionOf(type), kind: type.kind } as KubeObject
  const context = contextOf(cluster, request, options)
  const applied = normalised(request, tracked(request, { live: blank, config }, options, context.now))
  fillNewMetadata(cluster, request, applied)
  type.strategy.applyDefaults(applied)
  return answer(storeNew(cluster, request, applied, context), 201)
}

function tracked(
  request: ApiRequest,
  { live, config }: { live: KubeObject; config: KubeObject },
  options: WriteOptions,
  now: string,
): KubeObject {
  const { type } = request
  try {
    const manager = managerOf(request, options, request.subresource)
    return trackApply({ type, live, config, manager, now, force: options.force })
  } catch (error) {
    if (!(error instanceof NotMergeable)) throw error
    throw notTyped(request, config, error.message)
  }
}

/** A configuration is typed before its fields are validated: `fieldValidation` has no say in it. */
function refuseUndeclared(request: ApiRequest, sent: JsonObject): void {
  const problems = undeclaredFields(sent, request.type.structure).map((path) => `${path}: field not declared in schema`)
  if (problems.length === 1) throw notTyped(request, sent, problems[0] ?? '')
  if (problems.length > 1) throw notTyped(request, sent, ['errors:', ...problems].join('\n  '))
}

function notTyped({ type }: ApiRequest, sent: JsonObject, message: string): ApiError {
  const name = `${stringAt(sent, 'metadata', 'namespace') ?? ''}/${stringAt(sent, 'metadata', 'name') ?? ''}`
  const of = `${name}; ${apiVersionOf(type)}, Kind=${type.kind}`
  return new ApiError(500, '', `failed to create typed patch object (${of}): ${message}`)
}

/** The merged object in stored form: decoded again, with the managers that were just recorded. */
function normalised(request: ApiRequest, applied: KubeObject): KubeObject {
  return request.type.strategy.decode(clone(applied), 'stored').object
}
