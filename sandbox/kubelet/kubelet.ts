/**
 * A kubelet whose containers are local processes: it registers a node, runs the pods that are bound to it, and tells the API server
 * how they fare, as a kubelet does, through nothing but the Kubernetes API.
 *
 * It promises that no process outlives it, that an idle node writes nothing, and that a pod shows the phases, conditions, states
 * and events that it would show in a cluster. What processes cannot have is not there: isolation, images, resource limits, read-only
 * mounts and mount namespaces (paths under a mount are rewritten in arguments and environment instead).
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '../../operator/kube/client.ts'
import { unlessNotFound } from '../../operator/kube/errors.ts'
import { silentLog } from '../../operator/kube/log.ts'
import type { Log } from '../../operator/kube/log.ts'
import { createReflector } from '../../operator/kube/reflector.ts'
import type { Reflector } from '../../operator/kube/reflector.ts'
import type { KubeObject, Resource } from '../../operator/kube/resource.ts'
import type { AddressAllocator } from './addresses.ts'
import { assertUsable } from './addresses.ts'
import { ProcessLedger } from './container/process-ledger.ts'
import { createEventRecorder } from './events.ts'
import { startLogServer } from './log-server.ts'
import type { LogServerOptions } from './log-server.ts'
import { DEFAULT_TIMING } from './node-context.ts'
import type { KubeletTiming, NodeContext } from './node-context.ts'
import { nodeLabels, registerNode, renewNodeLease } from './node-object.ts'
import type { NodeDescription } from './node-object.ts'
import type { Pod } from './objects.ts'
import type { ConfigSource } from './pod/config-source.ts'
import { LogsError, podLogs } from './pod-logs.ts'
import type { PodLogOptions } from './pod-logs.ts'
import { PodWorker } from './pod-worker.ts'
import { CONFIG_MAPS, PODS, SECRETS } from './resources.ts'
import { startScheduler } from './scheduler.ts'
import { createUsageMeter } from './usage.ts'
import type { PodUsage } from './usage.ts'
import { Directories } from './volumes/directories.ts'

export interface KubeletOptions {
  readonly client: Client
  readonly nodeName: string
  /** Everything of pods is kept below it; volumes of claims stay there when the kubelet closes. */
  readonly rootDir: string
  /** What each image runs: a program and its first arguments. A container's `command` replaces it, its `args` follow. */
  readonly images: Readonly<Record<string, readonly string[]>>
  readonly addresses: AddressAllocator
  /** The node's own address. Default 127.0.0.1. */
  readonly hostIP?: string
  readonly nodeLabels?: Readonly<Record<string, string>>
  /** Bind pods without a node to this one. Default true; false where a scheduler runs. */
  readonly schedule?: boolean
  /** Renew the node's Lease this often. Default: never, as a sandbox has nobody who would miss it; a real control plane needs 10 s. */
  readonly heartbeatMs?: number
  /** Serve logs over HTTPS on `hostIP`, where a real API server asks for them. Default: no. */
  readonly logServer?: LogServerOptions
  readonly timing?: Partial<KubeletTiming>
  /** Of one log file; one older file is kept. Default 10 MiB. */
  readonly maxLogBytes?: number
  readonly log?: Log
}

export interface Kubelet {
  /** Ends every process and stops; the API server keeps what it was told last. */
  close(): Promise<void>
  /** @throws LogsError when there is no such log */
  logs(namespace: string, pod: string, options?: PodLogOptions): AsyncIterable<Uint8Array>
  /** What the pods use now; a pod is left out until it has been measured twice. */
  usage(): Promise<PodUsage[]>
}

const MAX_PODS = 1000
const MAX_LOG_BYTES = 10 * 1024 * 1024

/** Resolves once the node is registered and its pods are known. @throws Error when pod addresses cannot be used on this machine */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { client, log = silentLog, addresses, hostIP = '127.0.0.1' } = options
  const directories = new Directories(options.rootDir)
  await mkdir(directories.pods, { recursive: true })
  const trial = addresses.allocate()
  await assertUsable(trial)
  addresses.release(trial)
  const node: NodeContext = {
    client,
    log,
    hostIP,
    directories,
    ledger: new ProcessLedger(directories.processes),
    images: options.images,
    addresses,
    config: configSource(client),
    events: createEventRecorder({ client, log, component: 'kubelet', host: options.nodeName }),
    timing: { ...DEFAULT_TIMING, ...options.timing },
    maxLogBytes: options.maxLogBytes ?? MAX_LOG_BYTES,
  }
  const description: NodeDescription = {
    name: options.nodeName,
    address: hostIP,
    maxPods: MAX_PODS,
    ...(options.logServer !== undefined && { port: options.logServer.port }),
    ...(options.nodeLabels !== undefined && { labels: options.nodeLabels }),
  }
  try {
    await registerNode(client, description)
  } catch (error) {
    await node.ledger.close()
    throw error
  }
  return run(options, node, description)
}

async function run(options: KubeletOptions, node: NodeContext, description: NodeDescription): Promise<Kubelet> {
  const { client, log } = node
  const workers = new Map<string, PodWorker>()
  const meter = createUsageMeter(() => workers.values())
  const reflectors = watch(options, node, workers)
  await Promise.all(reflectors.map((reflector) => reflector.synced))
  await removeLeftovers(node.directories, workers)
  const scheduler =
    options.schedule === false
      ? undefined
      : startScheduler({ client, log, nodeName: options.nodeName, nodeLabels: nodeLabels(description) })
  const heartbeat = options.heartbeatMs === undefined ? undefined : setInterval(beat, options.heartbeatMs)

  function beat(): void {
    renewNodeLease(client, options.nodeName).catch((error: Error) =>
      log.warn({ reason: error.message }, 'the node lease could not be renewed'),
    )
  }

  const logs: Kubelet['logs'] = (namespace, name, logOptions = {}) => {
    const found = [...workers.values()].findLast(
      ({ pod: { metadata } }) => metadata.namespace === namespace && metadata.name === name,
    )
    if (found === undefined) throw new LogsError(404, `pods "${name}" not found`)
    return podLogs(found, node.directories, logOptions)
  }
  const logServer =
    options.logServer === undefined ? undefined : await startLogServer(node.hostIP, options.logServer, logs)

  let closed: Promise<void> | undefined
  async function close(): Promise<void> {
    clearInterval(heartbeat)
    await logServer?.close()
    await scheduler?.close()
    await Promise.all(reflectors.map((reflector) => reflector.stop()))
    await Promise.all([...workers.values()].map((worker) => worker.close()))
    await node.events.close()
    await node.ledger.close()
  }

  return {
    close: () => (closed ??= close()),
    usage: () => meter.read(),
    logs,
  }
}

interface Started {
  readonly synced: Promise<void>
  stop(): Promise<void>
}

function watch(options: KubeletOptions, node: NodeContext, workers: Map<string, PodWorker>): Started[] {
  const { client, log } = node
  const pods = createReflector({ client, resource: PODS, fieldSelector: `spec.nodeName=${options.nodeName}`, log })
  pods.store.subscribe((change) => {
    const { uid } = change.object.metadata
    if (change.type !== 'deleted') return updateWorker(change.object, node, workers)
    const worker = workers.get(uid)
    worker?.update(change.object)
    void worker
      ?.remove()
      .catch((error: Error) => log.warn({ reason: error.message }, 'the directory of a pod could not be removed'))
      .finally(() => workers.delete(uid))
  })
  const tell = (kind: 'configMap' | 'secret', { metadata }: KubeObject): void => {
    for (const worker of workers.values()) {
      if (worker.pod.metadata.namespace === metadata?.namespace) worker.configChanged(kind, metadata.name ?? '')
    }
  }
  const configMaps = nameReflector(node, CONFIG_MAPS, (object) => tell('configMap', object))
  const secrets = nameReflector(node, SECRETS, (object) => tell('secret', object))
  for (const reflector of [pods, configMaps, secrets]) reflector.start()
  return [pods, configMaps, secrets]
}

function updateWorker(pod: Pod, node: NodeContext, workers: Map<string, PodWorker>): void {
  const existing = workers.get(pod.metadata.uid)
  if (existing !== undefined) return existing.update(pod)
  const worker = new PodWorker(pod, node)
  workers.set(pod.metadata.uid, worker)
  worker.start()
}

/** Notices changes only: contents are read when they are needed, so that nobody's Secrets are kept in memory. */
function nameReflector<T extends KubeObject>(
  { client, log }: NodeContext,
  resource: Resource<T>,
  onChange: (object: T) => void,
): Reflector<T> {
  const prune = ({ metadata }: T) => ({ metadata }) as T
  const reflector = createReflector({ client, resource, log, prune })
  reflector.store.subscribe((change) => onChange(change.object))
  return reflector
}

function configSource(client: Client): ConfigSource {
  const get = <T extends KubeObject>(resource: Resource<T>, namespace: string, name: string) =>
    unlessNotFound(client.get(resource, { namespace, name }))
  return {
    configMap: (namespace, name) => get(CONFIG_MAPS, namespace, name),
    secret: (namespace, name) => get(SECRETS, namespace, name),
  }
}

/** Directories of pods that were deleted while no kubelet ran. */
async function removeLeftovers(directories: Directories, workers: ReadonlyMap<string, PodWorker>): Promise<void> {
  for (const uid of await readdir(directories.pods)) {
    if (!workers.has(uid)) await rm(join(directories.pods, uid), { recursive: true, force: true })
  }
}
