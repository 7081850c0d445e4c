/** A node of real programs beside a control plane: scheduler, container runtime, kubelet, Service proxy and DNS. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { ControlPlane } from '../kube/control-plane.ts'
import type { NodeBinaries } from '../kube/binaries.ts'
import { RunningProgram } from '../kube/processes.ts'
import { ADDRESSES, NODE_NAME } from './addresses.ts'
import { DNS_USER } from './dns-objects.ts'
import { CONTAINERD_SOCKET, writeNodeFiles } from './node-files.ts'

const run = promisify(execFile)
const RUNTIME_READY_WITHIN_MS = 60_000
const SCHEDULER = 'system:kube-scheduler'
const KUBELET = `system:node:${NODE_NAME}`
const PROXY = 'system:kube-proxy'

/** The node's programs and their groups, for the control plane to know. */
export const NODE_USERS: Readonly<Record<string, readonly string[]>> = {
  [SCHEDULER]: [],
  [KUBELET]: ['system:nodes'],
  [PROXY]: [],
  [DNS_USER]: [],
}

export interface NodeOptions {
  readonly binaries: NodeBinaries
  /** For configuration, containers, images and logs. */
  readonly dir: string
  readonly plane: ControlPlane
  /** Of all pods; it exists in every hierarchy. */
  readonly cgroup: string
  readonly cniPlugins: string
  readonly runc: string
}

export interface ClusterNode {
  /** Makes the images of an archive known to the kubelet. */
  importImages(archive: string): Promise<void>
  /** Resolves when the programs have ended. Containers go on until the first process of their namespace ends. */
  stop(): Promise<void>
}

/** Resolves when images can be imported; the Node is Ready later. What had started is stopped again when something does not. */
export async function startNode(options: NodeOptions): Promise<ClusterNode> {
  const { binaries, dir, plane } = options
  await using starting = new AsyncDisposableStack()
  await mkdir(join(dir, 'logs'), { recursive: true })
  const kubeconfigs = {
    scheduler: await plane.kubeconfigOf(SCHEDULER),
    kubelet: await plane.kubeconfigOf(KUBELET),
    proxy: await plane.kubeconfigOf(PROXY),
    dns: await plane.kubeconfigOf(DNS_USER),
  }
  const certificate = await plane.authority.issue({
    ...{ commonName: KUBELET, organization: 'system:nodes', usage: 'server' },
    ...{ addresses: [ADDRESSES.node], names: [NODE_NAME] },
  })
  const files = await writeNodeFiles({ ...options, certificate, kubeconfigs })
  // The runtime finds its shim by PATH, and the proxy nft.
  const folders = [dirname(binaries.containerd), process.env.PATH ?? '', '/usr/sbin', '/sbin']
  const env = { ...process.env, PATH: folders.join(delimiter) }
  const start = (name: keyof NodeBinaries, args: readonly string[]) => {
    const program = new RunningProgram({
      ...{ name, args, env },
      path: binaries[name],
      logPath: join(dir, 'logs', `${name}.log`),
    })
    starting.defer(() => program.stop())
    return program
  }
  const runtime = start('containerd', [`--config=${files.containerd}`, '--log-level=warn'])
  start('kube-scheduler', schedulerArguments(kubeconfigs.scheduler))
  await runtime.until('it listened', async () => existsSync(CONTAINERD_SOCKET), RUNTIME_READY_WITHIN_MS)
  start('kubelet', [
    `--config=${files.kubelet}`,
    `--kubeconfig=${kubeconfigs.kubelet}`,
    `--root-dir=${join(dir, 'kubelet')}`,
    `--cert-dir=${join(dir, 'kubelet-certificates')}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${ADDRESSES.node}`,
  ])
  start('kube-proxy', [`--config=${files.proxy}`])
  start('coredns', [`-conf=${files.dns}`])
  const running = starting.move()
  const ctr = [`--address=${CONTAINERD_SOCKET}`, '--namespace=k8s.io']
  return {
    importImages: async (archive) =>
      void (await run(binaries.ctr, [...ctr, 'images', 'import', '--snapshotter=overlayfs', archive])),
    stop: () => running.disposeAsync(),
  }
}

function schedulerArguments(kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    `--bind-address=${ADDRESSES.controlPlane}`,
    '--leader-elect=false',
    '--kube-api-qps=300',
    '--kube-api-burst=600',
  ]
}
