/** What every Kubernetes object has, in the JSON of the wire: times are RFC 3339 strings, whatever client-node's types say. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: KubeMeta
}

export interface KubeMeta {
  readonly name?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: Date | string
  readonly deletionTimestamp?: Date | string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly managedFields?: readonly ManagedFieldsEntry[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ManagedFieldsEntry {
  readonly manager?: string
  readonly operation?: string
  readonly apiVersion?: string
  readonly subresource?: string
  readonly fieldsType?: string
  readonly fieldsV1?: object
}

/** One kind of object as the API serves it; `T` is the type of its objects. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  /** Never there at run time: it carries the type. */
  readonly objectType?: T
}

/** Which object. Cluster-scoped ones have no namespace. */
export interface ObjectName {
  readonly namespace?: string
  readonly name: string
}

export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

/** The name of the object that this JSON is, as a call wants it. @throws Error when it has none. */
export function nameOf(object: KubeObject): ObjectName {
  const { name, namespace } = object.metadata ?? {}
  if (name === undefined || name === '') throw new Error(`${object.kind ?? 'object'} has no metadata.name`)
  return namespace === undefined ? { name } : { namespace, name }
}

/** `namespace/name`, or `name` when cluster-scoped: the key of caches and queues. */
export function keyOf(name: ObjectName): string {
  return name.namespace === undefined || name.namespace === '' ? name.name : `${name.namespace}/${name.name}`
}

/** The inverse of `keyOf`. */
export function nameOfKey(key: string): ObjectName {
  const slash = key.indexOf('/')
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The path of a collection; without a namespace: of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const scope =
    resource.namespaced && namespace !== undefined && namespace !== '' ? `/namespaces/${segment(namespace)}` : ''
  return `${root}${scope}/${resource.plural}`
}

/** @throws Error when a namespaced object is named without its namespace: that would ask for something else. */
export function objectPath(resource: Resource, name: ObjectName, subresource?: string): string {
  if (name.name === '') throw new Error(`a ${resource.kind} needs a name`)
  if (resource.namespaced && (name.namespace === undefined || name.namespace === '')) {
    throw new Error(`${resource.kind} ${JSON.stringify(name.name)} needs a namespace`)
  }
  const tail = subresource === undefined ? '' : `/${subresource}`
  return `${collectionPath(resource, name.namespace)}/${segment(name.name)}${tail}`
}

function segment(text: string): string {
  return encodeURIComponent(text)
}
