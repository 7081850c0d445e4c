/**
 * Where integration tests happen: an API server with the CRD, controllers and a kubelet, an operator, and real models. Tests speak to
 * it over the Kubernetes API and to models over HTTP, as users do.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import type { ModelDeployment, ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { MODEL_DEPLOYMENT } from '../../operator/caches.ts'
import { createClient, type Client } from '../../operator/kube/client.ts'
import { isNotFound } from '../../operator/kube/errors.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { createReflector, type Reflector } from '../../operator/kube/reflector.ts'
import type { KubeObject } from '../../operator/kube/resource.ts'
import { createTransport, type Transport } from '../../operator/kube/transport.ts'
import { startOperator, type Operator, type OperatorOptions } from '../../operator/operator.ts'
import { holdoutRows } from '../../examples/demo/rows.ts'
import { startTraffic, type Traffic, type TrafficOptions } from '../../examples/demo/traffic.ts'
import { SERVER_IMAGE } from '../../sandbox/programs.ts'
import type { Address } from '../../sandbox/sandbox.ts'
import { startTestCluster, type TestCluster, type TestClusterOptions } from './cluster.ts'

const REPO = join(import.meta.dirname, '../..')
export const NAMESPACE = 'default'

export interface Place {
  readonly client: Client
  readonly kubeconfigPath: string
  /** With the operator's own rights, where those are checked. */
  readonly operatorKubeconfigPath: string
  /** Where its lease is. */
  readonly operatorNamespace: string
  /** Every request that changed something, as `verb resource[/subresource] name`, with who asked. */
  readonly writes: readonly Write[]
  startOperator(options?: { serverImage?: string }): Promise<void>
  stopOperator(): Promise<void>
  /** One more, which waits for the lease. @param onLost is called when it had the lease and lost it */
  anotherOperator(onLost?: () => void): Promise<Operator>
  apply(name: string, spec: ModelDeploymentSpec): Promise<ModelDeployment>
  read(name: string): Promise<ModelDeployment>
  remove(name: string): Promise<void>
  act(name: string, action: { id: string; verb: string; revision: string }): Promise<void>
  /** Waits for a status, sees each that it has meanwhile, and fails with the last one when the wanted one does not come. */
  until(
    name: string,
    what: string,
    wanted: (status: ModelDeploymentStatus) => boolean,
    seconds?: number,
  ): Promise<ModelDeploymentStatus>
  /** Where the Service of users is reached from here. */
  serviceAddress(name: string): Promise<Address>
  traffic(name: string, requestsPerSecond?: number, tls?: TrafficOptions['tls']): Promise<Traffic>
  close(): Promise<void>
}

export interface Write {
  readonly at: number
  readonly verb: string
  readonly resource: string
  readonly name: string
  readonly userAgent: string
}

/** URI of one of the example's models: v1 good, v2 better, v3 no model, v4 fails on some rows. */
export function exampleModel(version: 'v1' | 'v2' | 'v3' | 'v4'): string {
  return pathToFileURL(join(REPO, 'examples/biopsy/models', `${version}.onnx`)).href
}

export function conditionOf(status: ModelDeploymentStatus | undefined, type: string) {
  return status?.conditions?.find((condition) => condition.type === type)
}

export const isOfOperator = ({ userAgent = '' }: { readonly userAgent?: string }) =>
  userAgent.startsWith('penstock-operator')
export const isReady = (status: ModelDeploymentStatus) => conditionOf(status, 'Ready')?.status === 'True'
export const serves = (version: string) => (status: ModelDeploymentStatus) =>
  status.stable?.version === version && isReady(status)
export const isStalled = (status: ModelDeploymentStatus) => conditionOf(status, 'Stalled')?.status === 'True'

export async function eventually<T>(what: string, look: () => Promise<T | undefined>, seconds = 30): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`)
    await delay(50)
  }
}

export async function createPlace(
  options: Pick<TestClusterOptions, 'faults' | 'configMapSyncSeconds' | 'scope'> = {},
): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'penstock-test-'))
  const writes: Write[] = []
  const forbidden: string[] = []
  const cluster = await startTestCluster({
    ...options,
    dir: join(dir, 'cluster'),
    onRequest: ({ verb, resource, subresource, name, userAgent, code }) => {
      if (code === 403 && isOfOperator({ userAgent })) forbidden.push(`${verb} ${resource} ${name ?? ''}`)
      const changes = !['get', 'list', 'watch'].includes(verb)
      if (changes)
        writes.push({
          at: Date.now(),
          verb,
          resource: subresource ? `${resource}/${subresource}` : resource,
          name: name ?? '',
          userAgent: userAgent ?? '',
        })
    },
  })
  const transport = createTransport(loadKubeConfig({ path: cluster.kubeconfigPath }), { userAgent: 'penstock-test' })
  const scope = options.scope
  const place = new TestPlace({ dir, cluster, transport, writes, forbidden, ...(scope !== undefined && { scope }) })
  await place.startOperator()
  return place
}

interface Parts {
  readonly dir: string
  readonly cluster: TestCluster
  readonly transport: Transport
  readonly writes: Write[]
  /** What the API server did not let the operator do. */
  readonly forbidden: readonly string[]
  readonly scope?: string
}

/** Of two states of one object. */
function isOlder({ metadata }: KubeObject, than: KubeObject): boolean {
  return BigInt(metadata?.resourceVersion ?? 0) < BigInt(than.metadata?.resourceVersion ?? 0)
}

class TestPlace implements Place {
  readonly client: Client
  readonly #parts: Parts
  readonly #resources: Reflector<ModelDeployment>
  #operator: Operator | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.client = createClient(parts.transport)
    this.#resources = createReflector({ client: this.client, resource: MODEL_DEPLOYMENT, namespace: NAMESPACE })
    this.#resources.start()
  }

  get kubeconfigPath() {
    return this.#parts.cluster.kubeconfigPath
  }

  get operatorKubeconfigPath() {
    return this.#parts.cluster.operatorKubeconfigPath
  }

  get operatorNamespace() {
    return this.#parts.cluster.operatorNamespace
  }

  get writes() {
    return this.#parts.writes
  }

  async startOperator(options: { serverImage?: string } = {}): Promise<void> {
    this.#operator = await startOperator({
      ...this.#operatorOptions(),
      ...(options.serverImage !== undefined && { serverImage: options.serverImage }),
    })
  }

  anotherOperator(onLost: () => void = () => undefined): Promise<Operator> {
    return startOperator({ ...this.#operatorOptions(), onLost })
  }

  #operatorOptions(): OperatorOptions {
    return {
      kubeConfig: loadKubeConfig({ path: this.operatorKubeconfigPath }),
      serverImage: SERVER_IMAGE,
      ...(this.#parts.scope !== undefined && { namespace: this.#parts.scope }),
      leaseNamespace: this.operatorNamespace,
      health: { host: '127.0.0.1', port: 0 },
      concurrency: 4,
      log: pino({ level: 'warn' }, pino.destination({ dest: join(this.#parts.dir, 'operator.log'), sync: true })),
      onLost: () => undefined,
    }
  }

  async stopOperator(): Promise<void> {
    await this.#operator?.stop()
    this.#operator = undefined
  }

  apply(name: string, spec: ModelDeploymentSpec): Promise<ModelDeployment> {
    const object = { metadata: { name, namespace: NAMESPACE }, spec } as unknown as ModelDeployment
    return this.client.apply(MODEL_DEPLOYMENT, object, { fieldManager: 'test', force: true })
  }

  read(name: string): Promise<ModelDeployment> {
    return this.client.get(MODEL_DEPLOYMENT, { namespace: NAMESPACE, name })
  }

  /** Resolves when it is gone; what it owned may still be going. */
  async remove(name: string): Promise<void> {
    await this.client.delete(MODEL_DEPLOYMENT, { namespace: NAMESPACE, name }, { propagation: 'Background' })
    await eventually(`${name} to be gone`, async () => {
      try {
        await this.read(name)
        return undefined
      } catch (error) {
        if (isNotFound(error)) return true
        throw error
      }
    })
  }

  async act(name: string, action: { id: string; verb: string; revision: string }): Promise<void> {
    const body = { metadata: { annotations: { 'penstock.dev/action': JSON.stringify(action) } } }
    await this.client.patch(MODEL_DEPLOYMENT, { namespace: NAMESPACE, name }, { type: 'merge', body })
  }

  async until(
    name: string,
    what: string,
    wanted: (status: ModelDeploymentStatus) => boolean,
    seconds = 60,
  ): Promise<ModelDeploymentStatus> {
    const present = await this.read(name)
    let last = present.status ?? {}
    const { promise, resolve, reject } = Promise.withResolvers<ModelDeploymentStatus>()
    const giveUp = setTimeout(() => reject(new Error(`waited ${seconds} s for ${name}: ${what}`)), seconds * 1000)
    const leave = this.#resources.store.subscribe(({ type, object }) => {
      // What was told of it before may be older than what the test did since.
      if (object.metadata?.name !== name || isOlder(object, present)) return
      if (type === 'deleted') reject(new Error(`${name} was deleted`))
      last = object.status ?? {}
      try {
        if (wanted(last)) resolve(last)
      } catch (error) {
        reject(error)
      }
    })
    try {
      return await promise
    } catch (error) {
      throw new Error(`${(error as Error).message}; its status is ${JSON.stringify(last, undefined, 1)}`, {
        cause: error,
      })
    } finally {
      clearTimeout(giveUp)
      leave()
    }
  }

  serviceAddress(name: string): Promise<Address> {
    return this.#parts.cluster.serviceAddress(NAMESPACE, name)
  }

  async traffic(name: string, requestsPerSecond = 150, tls?: TrafficOptions['tls']): Promise<Traffic> {
    const { host, port } = await this.serviceAddress(name)
    const common = { host, port, rows: holdoutRows(), clients: 6, requestsPerSecond }
    return startTraffic(tls === undefined ? common : { ...common, tls })
  }

  async close(): Promise<void> {
    await this.stopOperator()
    await this.#resources.stop()
    this.#parts.transport.close()
    await this.#parts.cluster.close()
    rmSync(this.#parts.dir, { recursive: true, force: true })
    const { forbidden } = this.#parts
    if (forbidden.length > 0) throw new Error(`the operator lacks rights for: ${[...new Set(forbidden)].join(', ')}`)
  }
}
