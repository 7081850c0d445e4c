/**
 * Makes Services reachable: listens on every cluster address and joins each new connection to a ready endpoint.
 *
 * It promises what kube-proxy promises: a connection is placed once and never moved, a Service without ready endpoints refuses, and
 * a change of endpoints counts from the next connection on. Names are left to DNS, of which the sandbox has none.
 */
import type { Client } from '../../operator/kube/client.ts'
import { isNotFound } from '../../operator/kube/errors.ts'
import { silentLog } from '../../operator/kube/log.ts'
import type { Log } from '../../operator/kube/log.ts'
import { createReflector } from '../../operator/kube/reflector.ts'
import { keyOf, nameOfKey } from '../../operator/kube/resource.ts'
import type { ObjectName } from '../../operator/kube/resource.ts'
import { ENDPOINT_SLICE, SERVICE, readAs } from '../../operator/kube/resources.ts'
import type { EndpointSlice } from '../controllers/objects.ts'
import { frontendsOf, SERVICE_NAME_LABEL } from './backends.ts'
import type { Frontend, ProxiedService } from './backends.ts'
import { Listener } from './listener.ts'

export interface ServiceProxyOptions {
  readonly client: Client
  readonly log?: Log
}

export interface ServiceProxy {
  close(): Promise<void>
  /** `host:port` where a Service's port (default: its first) really listens; undefined while it does not. */
  addressOf(namespace: string, service: string, port?: number): string | undefined
}

/** On a Service whose ports had to be moved: where they are, in the order of `spec.ports`, separated by commas. */
export const ADDRESS_ANNOTATION = 'sandbox.penstock.dev/address'

const SERVICES = readAs<ProxiedService>(SERVICE)
const SLICES = readAs<EndpointSlice>(ENDPOINT_SLICE)
const RETRY_MS = 1000

/** Resolves once every Service that there is has its listeners. */
export async function startServiceProxy({ client, log = silentLog }: ServiceProxyOptions): Promise<ServiceProxy> {
  const proxy = new Proxy(client, log)
  await proxy.start()
  return proxy
}

class Proxy implements ServiceProxy {
  readonly #client: Client
  readonly #log: Log
  readonly #services
  readonly #slices
  /** By Service, then by `host:port` as the Service has it. */
  readonly #listeners = new Map<string, Map<string, Listener>>()
  /** No longer accepting, but with connections to be ended at the close. */
  readonly #retired = new Set<Listener>()
  readonly #dirty = new Set<string>()
  readonly #retries = new Map<string, NodeJS.Timeout>()
  #work: Promise<void> | undefined
  #isClosed = false

  constructor(client: Client, log: Log) {
    this.#client = client
    this.#log = log
    this.#services = createReflector({ client, resource: SERVICES, log })
    this.#slices = createReflector({ client, resource: SLICES, log, indexes: { service: serviceOf } })
  }

  async start(): Promise<void> {
    this.#services.store.subscribe(({ object }) => this.#touch(keyOf(object.metadata)))
    this.#slices.store.subscribe(({ object }) => serviceOf(object).forEach((key) => this.#touch(key)))
    this.#services.start()
    this.#slices.start()
    await Promise.all([this.#services.synced, this.#slices.synced])
    await this.#work
  }

  addressOf(namespace: string, name: string, port?: number): string | undefined {
    const service = this.#services.store.get({ namespace, name })
    const { clusterIP = '', ports = [] } = service?.spec ?? {}
    const wanted = port ?? ports[0]?.port
    return this.#listeners.get(keyOf({ namespace, name }))?.get(`${clusterIP}:${wanted}`)?.address
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([this.#services.stop(), this.#slices.stop()])
    for (const timer of this.#retries.values()) clearTimeout(timer)
    await this.#work
    const listeners = [...this.#listeners.values()].flatMap((each) => [...each.values()])
    for (const listener of [...listeners, ...this.#retired]) listener.close()
  }

  #touch(key: string): void {
    if (this.#isClosed) return
    this.#dirty.add(key)
    this.#work ??= this.#run().finally(() => (this.#work = undefined))
  }

  async #run(): Promise<void> {
    await Promise.resolve() // Takes what comes in one go as one.
    for (const key of this.#dirty) {
      this.#dirty.delete(key)
      if (!this.#isClosed) await this.#sync(key)
    }
  }

  async #sync(key: string): Promise<void> {
    const service = this.#services.store.get(nameOfKey(key))
    const frontends = service === undefined ? [] : frontendsOf(service, this.#slices.store.byIndex('service', key))
    const listeners = this.#listeners.get(key) ?? new Map<string, Listener>()
    const wanted = new Map(frontends.map((each) => [`${each.host}:${each.port}`, each]))
    for (const [address, listener] of listeners) {
      if (wanted.has(address)) continue
      listeners.delete(address)
      this.#retire(listener)
    }
    for (const [address, frontend] of wanted) {
      const existing = listeners.get(address)
      if (existing !== undefined) existing.update(frontend)
      else await this.#open(key, address, frontend, listeners)
    }
    if (listeners.size === 0) this.#listeners.delete(key)
    else this.#listeners.set(key, listeners)
    if (service !== undefined) await this.#publish(service, [...listeners.values()])
  }

  async #open(key: string, address: string, frontend: Frontend, listeners: Map<string, Listener>): Promise<void> {
    const listener = new Listener(frontend)
    try {
      await listener.open()
      listeners.set(address, listener)
      if (listener.isMoved) {
        const why = 'ports below 1024 are reserved for privileged processes'
        this.#log.info({ service: key, address: listener.address }, `${address} is served elsewhere: ${why}`)
      }
    } catch (error) {
      this.#log.warn({ service: key, address, reason: remedyOf(error) }, 'a Service cannot be served; trying again')
      clearTimeout(this.#retries.get(key))
      this.#retries.set(
        key,
        setTimeout(() => this.#touch(key), RETRY_MS),
      )
    }
  }

  #retire(listener: Listener): void {
    listener.retire()
    for (const each of this.#retired) if (each.connections === 0) this.#retired.delete(each)
    if (listener.connections > 0) this.#retired.add(listener)
  }

  async #publish({ metadata }: ProxiedService, listeners: readonly Listener[]): Promise<void> {
    const isMoved = listeners.some((listener) => listener.isMoved)
    const address = isMoved ? listeners.map((listener) => listener.address).join(',') : undefined
    if (metadata.annotations?.[ADDRESS_ANNOTATION] === address) return
    const name: ObjectName = { name: metadata.name, namespace: metadata.namespace ?? '' }
    const body = { metadata: { annotations: { [ADDRESS_ANNOTATION]: address ?? null } } }
    try {
      await this.#client.patch(SERVICES, name, { type: 'merge', body })
    } catch (error) {
      if (isNotFound(error) || this.#isClosed) return
      this.#log.warn({ ...name, reason: (error as Error).message }, 'the address of a Service could not be published')
    }
  }
}

/** The key of the Service that a slice belongs to. */
function serviceOf({ metadata }: EndpointSlice): string[] {
  const name = metadata.labels?.[SERVICE_NAME_LABEL]
  return name === undefined ? [] : [keyOf({ name, namespace: metadata.namespace ?? '' })]
}

function remedyOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code !== 'EADDRNOTAVAIL') return message
  return `${message}: this machine does not have the address; on macOS add it with "sudo ifconfig lo0 alias <address> up", elsewhere with "ip address add <address>/32 dev lo"`
}
