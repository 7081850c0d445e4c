/**
 * Creating and updating objects. Handlers run from reading the store to writing it without a pause, so a write is atomic; the
 * order of steps is the real API server's.
 */
import { randomUUID, randomInt } from 'node:crypto'
import { trackUpdate } from '../apply/track.ts'
import { timestamp, type Cluster } from '../cluster.ts'
import { invalid, type FieldError } from '../field-error.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseObject } from '../http/body.ts'
import { clone, equal, isObject, stringAt, textOf, type JsonObject, type KubeObject } from '../json.ts'
import { apiVersionOf, type ResourceType, type WriteContext } from '../kinds/resource-type.ts'
import {
  alreadyExists,
  ApiError,
  badRequest,
  conflict,
  forbidden,
  invalidObject,
  MODIFIED,
  notFound,
} from '../status.ts'
import type { DecodeForm } from '../structure/decode.ts'
import { finalizersOf, validateMetadata, validateMetadataUpdate } from '../validation/metadata.ts'
import { managerFromUserAgent, writeOptionsOf, type WriteOptions } from './options.ts'
import { served } from './selection.ts'

const NAMESPACES = 'namespaces'
const GENERATED_NAME_LENGTH = 58
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

export function create(cluster: Cluster, request: ApiRequest): Reply {
  const options = writeOptionsOf(request)
  const object = decodeRequestObject(request, parseObject(request.body, request.mediaType), options)
  return answer(createObject(cluster, request, object, options), 201)
}

const SHOWN_CHARACTERS = 30

/** Decodes an object that a client sent, and treats unknown fields as the request's fieldValidation says. */
export function decodeRequestObject(
  request: ApiRequest,
  sent: JsonObject,
  options: WriteOptions,
  form: DecodeForm = 'stored',
): KubeObject {
  const { type } = request
  const apiVersion = apiVersionOf(type)
  if (type.custom) requireKind(sent, type)
  const typed = { ...sent, apiVersion: sent['apiVersion'] ?? apiVersion, kind: sent['kind'] ?? type.kind }
  if (typed.apiVersion !== apiVersion) {
    const message = `the API version in the data (${textOf(typed.apiVersion)}) does not match the expected API version (${apiVersion})`
    throw badRequest(message)
  }
  if (typed.kind !== type.kind) {
    throw badRequest(
      `${textOf(typed.kind)} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: converting (${textOf(typed.kind)}) to (${type.kind}): unknown conversion`,
    )
  }
  const { object, problems } = type.strategy.decode(typed, form)
  if (problems.length > 0 && options.fieldValidation === 'Strict') {
    throw badRequest(
      `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: strict decoding error: ${problems.join(', ')}`,
    )
  }
  if (options.fieldValidation === 'Warn') problems.forEach((problem) => request.warn(problem))
  return object
}

/** Built-in kinds are known by their path; a custom resource has to say what it is. */
function requireKind(sent: JsonObject, { kind, ...type }: ResourceType): void {
  if (sent['kind'] === undefined) {
    const text = JSON.stringify(sent)
    const start = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)} ...` : text
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): Object 'Kind' is missing in '${text}' (${start})`,
    )
  }
  if (sent['apiVersion'] === undefined) {
    const expected = apiVersionOf(type)
    throw badRequest(`the API version in the data () does not match the expected API version (${expected})`)
  }
}

/** Admits and stores a new object, in the form in which the request's version shows it. */
export function createObject(
  cluster: Cluster,
  request: ApiRequest,
  object: KubeObject,
  options: WriteOptions,
): KubeObject {
  const { type } = request
  fillNewMetadata(cluster, request, object)
  if (type.answerCreate) return type.answerCreate(object, request.user)
  const context = contextOf(cluster, request, options)
  type.strategy.applyDefaults(object)
  const managed = trackUpdate({
    type,
    live: { ...clone(type.strategy.blank), apiVersion: object.apiVersion, kind: object.kind } as KubeObject,
    object,
    manager: managerOf(request, options, ''),
    now: context.now,
  })
  return storeNew(cluster, request, managed, context)
}

/** The last steps of a creation, for an object whose managers are recorded already. */
export function storeNew(cluster: Cluster, request: ApiRequest, object: KubeObject, context: WriteContext): KubeObject {
  const { type } = request
  checkNamespaceIsOpen(cluster, request, object.metadata.name)
  type.strategy.prepareForCreate(object, context)
  refuse(type, object.metadata.name, [...validateMetadata(object, type), ...type.strategy.validate(object)])
  const stored = type.convert ? type.convert.toStored(object) : object
  if (cluster.store.get(type.shelf, { namespace: request.namespace, name: object.metadata.name })) {
    type.strategy.afterDelete?.(object)
    throw alreadyExists(type, object.metadata.name)
  }
  if (context.dryRun) return object
  return served(request, cluster.store.put(type.shelf, stored))
}

export function fillNewMetadata(cluster: Cluster, request: ApiRequest, object: KubeObject): void {
  const metadata = object.metadata
  const sentNamespace = stringAt(object, 'metadata', 'namespace') ?? ''
  if (request.type.namespaced) {
    if (sentNamespace && sentNamespace !== request.namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    }
    metadata['namespace'] = request.namespace
  } else if (sentNamespace) {
    delete metadata['namespace']
  }
  if (metadata['resourceVersion']) throw badRequest('resourceVersion should not be set on objects to be created')
  const generateName = stringAt(object, 'metadata', 'generateName')
  if (!metadata.name && generateName) metadata.name = `${generateName.slice(0, GENERATED_NAME_LENGTH)}${randomSuffix()}`
  metadata.name ??= ''
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'resourceVersion', 'generation'])
    delete metadata[field]
  metadata['uid'] = randomUUID()
  metadata['creationTimestamp'] = timestamp(cluster.clock())
}

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]).join('')
}

function checkNamespaceIsOpen(cluster: Cluster, request: ApiRequest, name: string): void {
  if (!request.type.namespaced) return
  const namespace = cluster.store.get(NAMESPACES, { namespace: '', name: request.namespace })
  if (!namespace) throw notFound({ group: '', plural: 'namespaces' }, request.namespace)
  if (stringAt(namespace, 'status', 'phase') !== 'Terminating') return
  const why = `unable to create new content in namespace ${request.namespace} because it is being terminated`
  const refused = forbidden(request.type, name, why)
  const causes = [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${request.namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ]
  throw new ApiError(403, 'Forbidden', refused.message, { ...refused.details, causes })
}

export function update(cluster: Cluster, request: ApiRequest): Reply {
  const options = writeOptionsOf(request, 'UpdateOptions')
  const object = decodeRequestObject(request, parseObject(request.body, request.mediaType), options)
  return answer(updateObject(cluster, request, () => object, options))
}

/** Makes the wanted object out of the live one; `managed` tells that its managedFields are final. */
export type Change = (live: KubeObject) => KubeObject

/** Replaces an object by what `change` makes of it. Returns the object as the request's version shows it. */
export function updateObject(cluster: Cluster, request: ApiRequest, change: Change, options: WriteOptions): KubeObject {
  const { type } = request
  const stored = cluster.store.get(type.shelf, request)
  if (!stored) throw notFound(type, request.name)
  const live = served(request, stored)
  const object = change(live)
  checkIdentity(request, object)
  checkPreconditions(type, object, live)
  carryOver(object, live)
  type.strategy.applyDefaults(object)
  const context = contextOf(cluster, request, options)
  const managed = trackUpdate({
    type,
    live,
    object,
    manager: managerOf(request, options, request.subresource),
    now: context.now,
  })
  return storeUpdate(cluster, request, { live, object: managed }, context)
}

/** The last steps of an update, for an object whose managers are recorded already. */
export function storeUpdate(
  cluster: Cluster,
  request: ApiRequest,
  { live, object }: { live: KubeObject; object: KubeObject },
  context: WriteContext,
): KubeObject {
  const { type } = request
  const { strategy } = type
  const onStatus = request.subresource === 'status'
  if (onStatus) strategy.prepareForStatusUpdate(object, live)
  else strategy.prepareForUpdate(object, live, context)
  const specific = onStatus ? strategy.validateStatusUpdate(object, live) : strategy.validateUpdate(object, live)
  refuse(type, object.metadata.name, [
    ...validateMetadata(object, type),
    ...validateMetadataUpdate(object, live),
    ...specific,
  ])
  if (equalButForManagerTimes(object, live)) return live
  if (context.dryRun) return object
  const final = type.convert ? type.convert.toStored(object) : object
  if (isReleased(final)) {
    const gone = cluster.store.remove(type.shelf, final)
    strategy.afterDelete?.(gone)
    return served(request, gone)
  }
  return served(request, cluster.store.put(type.shelf, final))
}

/** Deleted, and nobody holds it any more: no finalizer, and no kubelet that has yet to stop it. */
function isReleased(object: KubeObject): boolean {
  const { metadata } = object
  if (metadata['deletionTimestamp'] === undefined || finalizersOf(object).length > 0) return false
  return !metadata['deletionGracePeriodSeconds'] && !(object.kind === 'Namespace' && hasSpecFinalizers(object))
}

function hasSpecFinalizers(object: KubeObject): boolean {
  const spec = object['spec']
  return isObject(spec) && Array.isArray(spec['finalizers']) && spec['finalizers'].length > 0
}

/** A write that changes nothing but the time in managedFields is no write (and no watch event). */
function equalButForManagerTimes(object: KubeObject, live: KubeObject): boolean {
  return equal(withoutManagerTimes(object), withoutManagerTimes(live))
}

function withoutManagerTimes(object: KubeObject): KubeObject {
  const entries = object.metadata['managedFields']
  if (!Array.isArray(entries)) return object
  const timeless = entries.map((entry) => (isObject(entry) ? { ...entry, time: null } : entry))
  return { ...object, metadata: { ...object.metadata, managedFields: timeless } }
}

export function contextOf(cluster: Cluster, request: ApiRequest, options: WriteOptions): WriteContext {
  return { now: timestamp(cluster.clock()), dryRun: options.dryRun, warn: request.warn }
}

export function managerOf(
  request: ApiRequest,
  options: WriteOptions,
  subresource: string,
): { name: string; subresource: string } {
  return { name: options.fieldManager || managerFromUserAgent(request.headers['user-agent'] ?? ''), subresource }
}

function refuse(type: ResourceType, name: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject(type, name, errors)
}

export function checkIdentity(request: ApiRequest, object: KubeObject): void {
  const { metadata } = object
  if (metadata.name && metadata.name !== request.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${request.name})`)
  }
  metadata.name = request.name
  const namespace = stringAt(object, 'metadata', 'namespace')
  if (namespace && namespace !== request.namespace) {
    throw badRequest(
      `the namespace of the object (${namespace}) does not match the namespace on the request (${request.namespace})`,
    )
  }
  if (request.namespace) metadata['namespace'] = request.namespace
}

function checkPreconditions(type: ResourceType, object: KubeObject, live: KubeObject): void {
  const version = stringAt(object, 'metadata', 'resourceVersion') ?? ''
  const uid = stringAt(object, 'metadata', 'uid')
  const { name } = live.metadata
  if (uid && uid !== live.metadata['uid']) {
    throw conflict(
      type,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textOf(live.metadata['uid'])}`,
    )
  }
  if (version === '' && !type.strategy.allowsUnconditionalUpdate) {
    throw invalidObject({ group: type.group, kind: type.plural }, name, [
      invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ])
  }
  if (version !== '' && version !== '0' && version !== live.metadata['resourceVersion'])
    throw conflict(type, name, MODIFIED)
}

/** What the system wrote stays, whatever a client sent. */
export function carryOver(object: KubeObject, live: KubeObject): void {
  const { metadata } = object
  metadata['resourceVersion'] = live.metadata['resourceVersion'] ?? ''
  for (const field of [
    'uid',
    'creationTimestamp',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generateName',
  ]) {
    const value = live.metadata[field]
    if (value === undefined) delete metadata[field]
    else if (field === 'generation' || metadata[field] === undefined || field.startsWith('deletion'))
      metadata[field] = value
  }
}
