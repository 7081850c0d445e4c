/**
 * Puts the sandbox together: API server, controllers, scheduler, kubelet and Service proxy in this process, each a client of the first.
 *
 * It promises that a sandbox that started is complete, that several run side by side, and that after `close()` nothing of it is left:
 * no process, no socket, no timer, and no file unless the caller named the directory. What the parts do is theirs.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient, type Client } from '../operator/kube/client.ts'
import { loadKubeConfig } from '../operator/kube/kubeconfig.ts'
import { silentLog, type Log } from '../operator/kube/log.ts'
import { createTransport } from '../operator/kube/transport.ts'
import { startApiServer, type ApiServer, type Kubeconfig } from './apiserver/apiserver.ts'
import type { Faults, OnRequest } from './apiserver/http/faults.ts'
import { startControllers } from './controllers/controllers.ts'
import { loadCrds } from './crds.ts'
import { loopbackAddresses } from './kubelet/addresses.ts'
import { startKubelet, type Kubelet } from './kubelet/kubelet.ts'
import type { KubeletTiming } from './kubelet/node-context.ts'
import { podLogsOf } from './pod-logs.ts'
import { ourProgram, SERVER_IMAGE } from './programs.ts'
import { startServiceProxy, type ServiceProxy } from './proxy/service-proxy.ts'
import { takeSlot } from './slots.ts'

export interface SandboxOptions {
  /** Where the kubeconfig, pod directories and logs go; it stays when the sandbox closes. Default: a temporary directory that does not. */
  readonly dir?: string
  /** What each image runs, beside the server image. */
  readonly images?: Readonly<Record<string, readonly string[]>>
  /** Files of CustomResourceDefinitions to load before the sandbox is ready. */
  readonly crds?: readonly string[]
  /** How long a changed ConfigMap or Secret takes to reach the volumes of pods. Default 10 to 15. */
  readonly configMapSyncSeconds?: number
  /** Wait before a crashed container is started again, and after a Job's first failed pod; it doubles each time. Default 10. */
  readonly crashBackoffSeconds?: number
  /** How often autoscalers look. Default 15. */
  readonly autoscalerIntervalSeconds?: number
  /** Asked before each request is handled: lets tests refuse or drop it. */
  readonly faults?: Faults
  /** Told of each request that was answered. */
  readonly onRequest?: OnRequest
  readonly log?: Log
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Sandbox {
  /** Readable by its owner only: it holds the administrator's token. */
  readonly kubeconfigPath: string
  readonly kubeconfig: Kubeconfig
  readonly url: string
  readonly dir: string
  /** It owns `127.<slot>.0.0/16`. */
  readonly slot: number
  /** Forgets all history that watches could resume from, as etcd's compaction does. */
  compact(): void
  /** Where the first port of a Service can be reached from this machine. @throws Error when it cannot, for 10 seconds */
  serviceAddress(namespace: string, name: string): Promise<Address>
  close(): Promise<void>
}

/** What the server image runs here. */
const SERVER_PROGRAM: readonly string[] = ourProgram('server-image')
const NODE_NAME = 'sandbox'
const API_PORT = 6443
const MAX_BACKOFF_MS = 300_000
const SERVED_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 10

/** Starts a sandbox; resolves when everything in it works. What had started is closed again when something does not. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  await using starting = new AsyncDisposableStack()
  const dir = await directory(options.dir, starting)
  const parts: { kubelet?: Kubelet } = {}
  const { slot, server } = await startServer(
    options,
    podLogsOf(() => parts.kubelet),
    starting,
  )
  const kubeconfigPath = join(dir, 'kubeconfig')
  const kubeconfig = server.kubeconfig()
  await writeFile(kubeconfigPath, `${JSON.stringify(kubeconfig, undefined, 2)}\n`, { mode: 0o600 })
  const clientFor = (component: string): Client => clientOf(kubeconfigPath, component, starting)

  const log = options.log ?? silentLog
  const kubelet = await startKubelet({ client: clientFor('kubelet'), log, ...kubeletOptions(options, dir, slot) })
  parts.kubelet = kubelet
  starting.defer(() => kubelet.close())
  const proxy = await startServiceProxy({ client: clientFor('service-proxy'), log })
  starting.defer(() => proxy.close())
  const controllers = await startControllers({
    client: clientFor('controllers'),
    certificateAuthority: server.caPem,
    log,
    usage: () => kubelet.usage(),
    ...controllerOptions(options),
  })
  starting.defer(() => controllers.stop())
  await loadCrds(clientFor('sandbox'), options.crds ?? [])

  const running = starting.move()
  const { url } = server
  return {
    kubeconfigPath,
    kubeconfig,
    url,
    dir,
    slot,
    compact: () => server.compact(),
    serviceAddress: (namespace, name) => serviceAddress(proxy, namespace, name),
    close: () => running.disposeAsync(),
  }
}

async function directory(wanted: string | undefined, stack: AsyncDisposableStack): Promise<string> {
  if (wanted !== undefined) {
    await mkdir(wanted, { recursive: true })
    return resolve(wanted)
  }
  const dir = await mkdtemp(join(tmpdir(), 'penstock-sandbox-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function startServer(
  { faults, onRequest }: SandboxOptions,
  podLogs: ReturnType<typeof podLogsOf>,
  stack: AsyncDisposableStack,
): Promise<{ slot: number; server: ApiServer }> {
  const { slot, held: server } = await takeSlot((slot) =>
    startApiServer({
      host: `127.${slot}.0.1`,
      port: API_PORT,
      podLogs,
      ...(faults === undefined ? {} : { faults }),
      ...(onRequest === undefined ? {} : { onRequest }),
    }),
  )
  stack.defer(() => server.close())
  return { slot, server }
}

function clientOf(kubeconfigPath: string, component: string, stack: AsyncDisposableStack): Client {
  const transport = createTransport(loadKubeConfig({ path: kubeconfigPath }), {
    userAgent: `penstock-sandbox-${component}`,
  })
  stack.defer(() => transport.close())
  return createClient(transport)
}

function kubeletOptions(
  { images, configMapSyncSeconds, crashBackoffSeconds }: SandboxOptions,
  dir: string,
  slot: number,
) {
  const timing: Partial<KubeletTiming> = {
    ...(configMapSyncSeconds === undefined ? {} : { refreshMs: configMapSyncSeconds * 1000, refreshJitterMs: 0 }),
    ...(crashBackoffSeconds === undefined
      ? {}
      : { backOff: { baseMs: crashBackoffSeconds * 1000, maxMs: MAX_BACKOFF_MS } }),
  }
  return {
    nodeName: NODE_NAME,
    rootDir: join(dir, 'node'),
    images: { [SERVER_IMAGE]: SERVER_PROGRAM, ...images },
    addresses: loopbackAddresses(slot),
    hostIP: `127.${slot}.0.1`,
    timing,
  }
}

function controllerOptions({ crashBackoffSeconds, autoscalerIntervalSeconds }: SandboxOptions) {
  return {
    ...(crashBackoffSeconds === undefined ? {} : { jobBackoffSeconds: crashBackoffSeconds }),
    ...(autoscalerIntervalSeconds === undefined ? {} : { autoscalerIntervalSeconds }),
  }
}

/** Where a Service's first port can be reached. @throws Error when it cannot, for 10 seconds */
export async function serviceAddress(proxy: ServiceProxy, namespace: string, name: string): Promise<Address> {
  const deadline = performance.now() + SERVED_WITHIN_MS
  for (;;) {
    const [host, port] = proxy.addressOf(namespace, name)?.split(':') ?? []
    if (host !== undefined && port !== undefined) return { host, port: Number(port) }
    if (performance.now() > deadline) throw new Error(`Service ${namespace}/${name} is not there, or has no ready pod`)
    await delay(LOOK_EVERY_MS)
  }
}
