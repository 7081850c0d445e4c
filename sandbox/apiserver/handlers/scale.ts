/**
 * The scale subresource: one view, autoscaling/v1 Scale, of everything that has replicas. Where an object has none, there is nothing to see, but
 * they can be given (ScaleREST of k8s.io/apiextensions-apiserver; built-in kinds have a default).
 */
import { timestamp, type Cluster } from '../cluster.ts'
import { invalid } from '../field-error.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { clone, isObject, numberAt, stringAt, valueAt, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { ScalePaths } from '../kinds/resource-type.ts'
import { badRequest, conflict, internalError, invalidObject, MODIFIED, notFound, unknownEndpoint } from '../status.ts'
import { patcherOf } from './patch.ts'
import { writeOptionsOf } from './options.ts'
import { selectorText } from './selector-text.ts'
import { served } from './selection.ts'
import { updateObject } from './write.ts'

const MAX_REPLICAS = 2 ** 31 - 1

export function scale(cluster: Cluster, request: ApiRequest): Reply {
  const paths = request.type.scale
  if (!paths) throw unknownEndpoint()
  const stored = cluster.store.get(request.type.shelf, request)
  if (!stored) throw notFound(request.type, request.name)
  const object = served(request, stored)
  const field = JSON.stringify(`.${paths.specReplicas.join('.')}`)
  const hasReplicas = numberAt(object, ...paths.specReplicas) !== undefined
  const shown = scaleOf(object, paths)
  if (request.verb === 'get') {
    if (!hasReplicas) throw internalError(new Error(`the spec replicas field ${field} does not exist`))
    return answer(shown)
  }
  const wanted = request.verb === 'patch' ? patcherOf(request)(shown) : parseObject(request.body, request.mediaType)
  if (!hasReplicas && request.verb === 'patch' && valueAt(wanted, 'spec', 'replicas') === undefined)
    throw badRequest(`the spec replicas field ${field} cannot be empty`)
  const updated = updateObject(
    cluster,
    request,
    (live) => withScale(live, wanted, paths, request),
    writeOptionsOf(request, 'UpdateOptions'),
  )
  return answer(scaleOf(updated, paths))
}

function scaleOf(object: KubeObject, paths: ScalePaths): KubeObject {
  const { metadata } = object
  const replicas = numberAt(object, ...paths.specReplicas)
  const selector = paths.selector && selectorText(valueAt(object, ...paths.selector))
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: metadata.name,
      ...(metadata['namespace'] ? { namespace: metadata['namespace'] } : {}),
      uid: metadata['uid'] ?? '',
      resourceVersion: metadata['resourceVersion'] ?? '',
      creationTimestamp: metadata['creationTimestamp'] ?? timestamp(0),
    },
    spec: replicas ? { replicas } : {},
    status: { replicas: numberAt(object, ...paths.statusReplicas) ?? 0, ...(selector ? { selector } : {}) },
  }
}

function withScale(live: KubeObject, wanted: JsonObject, paths: ScalePaths, request: ApiRequest): KubeObject {
  const name = stringAt(wanted, 'metadata', 'name')
  if (name !== undefined && name !== request.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${request.name})`)
  }
  const replicas = valueAt(wanted, 'spec', 'replicas') ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas > MAX_REPLICAS) {
    throw badRequest(
      'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32',
    )
  }
  if (replicas < 0) {
    throw invalidObject({ group: 'autoscaling', kind: 'Scale' }, request.name, [
      invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ])
  }
  const version = stringAt(wanted, 'metadata', 'resourceVersion')
  if (version && version !== live.metadata['resourceVersion']) throw conflict(request.type, request.name, MODIFIED)
  const scaled = clone(live)
  setAt(scaled, paths.specReplicas, replicas)
  return scaled
}

function setAt(object: JsonObject, path: readonly string[], value: Json): void {
  const [field, ...rest] = path
  if (field === undefined) return
  if (rest.length === 0) {
    object[field] = value
    return
  }
  const child = object[field]
  const parent: JsonObject = isObject(child) ? child : {}
  object[field] = parent
  setAt(parent, rest, value)
}
