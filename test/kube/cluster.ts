/** The same place as a sandbox, of real parts: a control plane of Kubernetes' own programs, with the sandbox's node and Service proxy. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient, type Client } from '../../operator/kube/client.ts'
import { NAMESPACE } from '../../operator/kube/resources.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { silentLog } from '../../operator/kube/log.ts'
import { createTransport } from '../../operator/kube/transport.ts'
import type { Faults, OnRequest } from '../../sandbox/apiserver/http/faults.ts'
import { whenEstablished } from '../../sandbox/crds.ts'
import { rotatingAddresses } from '../../sandbox/kubelet/addresses.ts'
import { startKubelet, type Kubelet } from '../../sandbox/kubelet/kubelet.ts'
import { startServiceProxy } from '../../sandbox/proxy/service-proxy.ts'
import { SERVER_IMAGE } from '../../sandbox/programs.ts'
import { serviceAddress, type Address } from '../../sandbox/sandbox.ts'
import { bundledServer } from '../bundled-server.ts'
import { addressesOf, PODS_PER_NODE, type Addresses } from './addresses.ts'
import { findBinaries } from './binaries.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import { install } from './installation.ts'
import { writeKubeconfig } from './kubeconfig-file.ts'
import { startTap } from './tap.ts'

export interface KubeClusterOptions {
  readonly dir: string
  /** Which addresses it takes: two clusters at once need two slots. */
  readonly slot: number
  readonly configMapSyncSeconds?: number
  readonly faults?: Faults
  readonly onRequest?: OnRequest
  /** Installs the operator for this namespace only, and in it. */
  readonly scope?: string
}

export interface KubeCluster {
  /** Of an administrator. */
  readonly kubeconfigPath: string
  /** Of the operator's service account, which may do what the operator is meant to do and nothing else. */
  readonly operatorKubeconfigPath: string
  /** Where the operator is installed, and has its lease. */
  readonly operatorNamespace: string
  serviceAddress(namespace: string, name: string): Promise<Address>
  close(): Promise<void>
}

const KUBELET_PORT = 10_250
const API_PORT = 6443
const HEARTBEAT_MS = 10_000

export async function startKubeCluster(options: KubeClusterOptions): Promise<KubeCluster> {
  const { dir } = options
  await using starting = new AsyncDisposableStack()
  await mkdir(dir, { recursive: true })
  const addresses = addressesOf(options.slot)
  const plane = await startControlPlane({ binaries: await findBinaries(), dir: join(dir, 'control-plane'), addresses })
  starting.defer(() => plane.stop())
  const clientFor = (component: string): Client => {
    const config = loadKubeConfig({ path: plane.kubeconfigPath })
    const transport = createTransport(config, { userAgent: `penstock-kube-${component}` })
    starting.defer(() => transport.close())
    return createClient(transport)
  }
  const kubelet = await startNode(options, addresses, plane, clientFor('kubelet'))
  starting.defer(() => kubelet.close())
  const proxy = await startServiceProxy({ client: clientFor('service-proxy'), log: silentLog })
  starting.defer(() => proxy.close())
  const admin = clientFor('test')
  const { token, namespace: operatorNamespace } = await install(admin, options.scope)
  await enforcePodSecurity(admin, 'default')
  await whenEstablished(admin, 'modeldeployments.penstock.dev')

  const certificate = await plane.authority.issue({ commonName: 'tap', usage: 'server', addresses: [addresses.tap] })
  const tap = await startTap({ ...options, certificate, host: addresses.tap, port: API_PORT, target: plane.url })
  starting.defer(() => tap.close())
  const reach = { server: tap.url, caPem: plane.authority.caPem }
  const kubeconfigPath = await writeKubeconfig(join(dir, 'kubeconfig'), { ...reach, token: plane.token })
  const operatorKubeconfigPath = await writeKubeconfig(join(dir, 'operator.kubeconfig'), { ...reach, token })
  const running = starting.move()
  return {
    kubeconfigPath,
    operatorKubeconfigPath,
    operatorNamespace,
    serviceAddress: (namespace, name) => serviceAddress(proxy, namespace, name),
    close: () => running.disposeAsync(),
  }
}

/** Every pod of the tests' namespace must be what Pod Security calls `restricted`; others are refused by the API server. */
async function enforcePodSecurity(client: Client, name: string): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
  await client.apply(NAMESPACE, namespace, { fieldManager: 'install', force: true })
}

/** Stands for the scheduler and one node, with the rights of an administrator. */
async function startNode(
  { dir, configMapSyncSeconds }: KubeClusterOptions,
  addresses: Addresses,
  { authority }: ControlPlane,
  client: Client,
): Promise<Kubelet> {
  const certificate = await authority.issue({ commonName: 'kubelet', usage: 'server', addresses: [addresses.node] })
  return startKubelet({
    client,
    nodeName: 'node',
    rootDir: join(dir, 'node'),
    images: { [SERVER_IMAGE]: bundledServer() },
    addresses: rotatingAddresses((index) => addresses.pod(index), PODS_PER_NODE),
    hostIP: addresses.node,
    heartbeatMs: HEARTBEAT_MS,
    logServer: { ...certificate, port: KUBELET_PORT, clientCaPem: authority.caPem },
    ...(configMapSyncSeconds !== undefined && {
      timing: { refreshMs: configMapSyncSeconds * 1000, refreshJitterMs: 0 },
    }),
  })
}
