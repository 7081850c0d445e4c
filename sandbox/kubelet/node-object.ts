import { availableParallelism, arch, platform, release, totalmem } from 'node:os'
import type { Client } from '../../operator/kube/client.ts'
import { isAlreadyExists } from '../../operator/kube/errors.ts'
import type { KubeObject } from '../../operator/kube/resource.ts'
import { LEASE, NODE, readAs } from '../../operator/kube/resources.ts'
import { timestamp } from './pod/status.ts'

export interface NodeDescription {
  readonly name: string
  readonly address: string
  readonly maxPods: number
  /** Where the kubelet itself is asked, if it is. */
  readonly port?: number
  readonly labels?: Readonly<Record<string, string>>
}

interface NodeObject extends KubeObject {
  readonly spec?: object
  readonly status?: object
}

interface LeaseObject extends KubeObject {
  readonly spec?: object
}

const NODES = readAs<NodeObject>(NODE)
const LEASES = readAs<LeaseObject>(LEASE)
const LEASE_NAMESPACE = 'kube-node-lease'

/** Go's names for what Node calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

export function nodeLabels({ name, labels }: NodeDescription): Record<string, string> {
  const goArch = ARCHITECTURES[arch()] ?? arch()
  return {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': platform(),
    'kubernetes.io/arch': goArch,
    ...labels,
  }
}

/** Makes the Node object, or brings it up to date: Ready, with this machine's size. */
export async function registerNode(client: Client, node: NodeDescription): Promise<void> {
  const metadata = { name: node.name, labels: nodeLabels(node) }
  const status = nodeStatus(node, timestamp(Date.now()))
  try {
    await client.create(NODES, { metadata, spec: {}, status })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    await client.patch(NODES, { name: node.name }, { type: 'merge', body: { metadata } })
  }
  await client.patchStatus(NODES, { name: node.name }, { type: 'merge', body: { status } })
}

/** One heartbeat: renews the node's Lease, without which a real control plane takes the node for dead after 40 s. */
export async function renewNodeLease(client: Client, name: string): Promise<void> {
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: 40,
    renewTime: new Date().toISOString().replace('Z', '000Z'),
  }
  const metadata = { name, namespace: LEASE_NAMESPACE }
  await client.apply(LEASES, { metadata, spec }, { fieldManager: 'kubelet', force: true })
}

function nodeStatus({ name, address, maxPods, port }: NodeDescription, now: string) {
  const size = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: String(maxPods),
    'ephemeral-storage': '100Gi',
  }
  const pressure = [
    ['MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ['DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ['PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  ] as const
  const times = { lastHeartbeatTime: now, lastTransitionTime: now }
  return {
    capacity: size,
    allocatable: size,
    conditions: [
      ...pressure.map(([type, reason, message]) => ({ type, status: 'False', reason, message, ...times })),
      { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status', ...times },
    ],
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: name },
    ],
    ...(port !== undefined && { daemonEndpoints: { kubeletEndpoint: { Port: port } } }),
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: release(),
      osImage: 'process sandbox',
      containerRuntimeVersion: `process://${process.versions.node}`,
      kubeletVersion: 'v1.34.0',
      kubeProxyVersion: '',
      operatingSystem: platform(),
      architecture: ARCHITECTURES[arch()] ?? arch(),
    },
  }
}
