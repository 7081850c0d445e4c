import type { Client, DeleteOptions, JsonPatchOperation } from '../../operator/kube/client.ts'
import { isNotFound } from '../../operator/kube/errors.ts'
import { createReflector, type Reflector } from '../../operator/kube/reflector.ts'
import { nameOf, type Resource } from '../../operator/kube/resource.ts'
import { sameMeaning } from './canonical.ts'
import { Cache } from './cache.ts'
import type { KubeObject, NewObject, ObjectMeta } from './objects.ts'
import { timestamp } from './timestamps.ts'

/**
 * The objects of one kind: read from a cache, written through the API. Every write shows in the cache when it returns; a write that
 * would change nothing is not made.
 */
export class Collection<T extends KubeObject> {
  readonly cache = new Cache<T>()
  readonly resource: Resource<T>
  readonly #client: Client
  readonly #reflector: Reflector<T>
  readonly #nowMs: () => number

  constructor(resource: Resource<T>, options: { client: Client; nowMs: () => number; fieldSelector?: string }) {
    const { client, nowMs, fieldSelector } = options
    this.resource = resource
    this.#client = client
    this.#nowMs = nowMs
    this.#reflector = createReflector({ client, resource, ...(fieldSelector === undefined ? {} : { fieldSelector }) })
    this.#reflector.store.subscribe((change) => {
      if (change.type === 'deleted') this.cache.seenGone(change.object)
      else this.cache.seen(change.object)
    })
  }

  /** Resolves once the cache is complete. */
  async start(): Promise<void> {
    this.#reflector.start()
    await this.#reflector.synced
  }

  async stop(): Promise<void> {
    await this.#reflector.stop()
  }

  async create(object: NewObject<T>): Promise<T> {
    return this.#absorbed(await this.#client.create(this.resource, object as unknown as T))
  }

  async update(object: T): Promise<T> {
    return this.#absorbed(await this.#client.update(this.resource, object))
  }

  /** Writes status, and the metadata that goes with it, if they differ. @throws ApiError Conflict when the object changed meanwhile. */
  async updateStatus(
    object: T & { status?: object },
    status: object,
    metadata: ObjectMeta = object.metadata,
  ): Promise<void> {
    if (sameMeaning(object.status ?? {}, status) && sameMeaning(object.metadata, metadata)) return
    this.#absorbed(await this.#client.updateStatus(this.resource, { ...object, metadata, status }))
  }

  /** Sets fields of metadata if the object is still this version. Nothing happens to an object that is gone. */
  async patchMetadata(object: T, metadata: Partial<Pick<ObjectMeta, 'ownerReferences' | 'finalizers'>>): Promise<void> {
    const { uid, resourceVersion } = object.metadata
    const body = { metadata: { ...metadata, uid, resourceVersion } }
    await this.#unlessGone(object, async () => {
      this.#absorbed(await this.#client.patch(this.resource, nameOf(object), { type: 'merge', body }))
    })
  }

  /** Takes a finalizer off, whatever else changed in the object meanwhile. */
  async removeFinalizer(object: T, finalizer: string): Promise<void> {
    const index = object.metadata.finalizers?.indexOf(finalizer) ?? -1
    if (index === -1) return
    const path = `/metadata/finalizers/${index}`
    const body: JsonPatchOperation[] = [
      { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
      { op: 'test', path, value: finalizer },
      { op: 'remove', path },
    ]
    await this.#unlessGone(object, async () => {
      this.#absorbed(await this.#client.patch(this.resource, nameOf(object), { type: 'json', body }))
    })
  }

  async remove(object: T, options: DeleteOptions = {}): Promise<void> {
    const preconditions = { uid: object.metadata.uid }
    await this.#unlessGone(object, () =>
      this.#client.delete(this.resource, nameOf(object), { ...options, preconditions }),
    )
    this.cache.assumeDeleting(object, timestamp(this.#nowMs()))
  }

  async #unlessGone(object: T, write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      if (!isNotFound(error)) throw error
      this.cache.forget(object)
    }
  }

  #absorbed(object: T): T {
    this.cache.absorb(object)
    return object
  }
}
