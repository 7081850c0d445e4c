/** How the programs of the node are configured. JSON is YAML too, so all but containerd's and CoreDNS's files are JSON. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServingCertificate } from '../../sandbox/apiserver/certificates.ts'
import { ADDRESSES, CLUSTER_DOMAIN, NODE_NAME } from './addresses.ts'

export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock'
/** Holds the namespaces of a pod. */
export const PAUSE_IMAGE = 'localhost/penstock/pause:dev'

export interface NodeFilesOptions {
  readonly dir: string
  /** Of all pods. */
  readonly cgroup: string
  readonly certificate: ServingCertificate
  /** Folder of the CNI plugins. */
  readonly cniPlugins: string
  readonly runc: string
  readonly kubeconfigs: { readonly proxy: string; readonly dns: string }
}

export interface NodeFiles {
  readonly containerd: string
  readonly kubelet: string
  readonly proxy: string
  readonly dns: string
}

export async function writeNodeFiles(options: NodeFilesOptions): Promise<NodeFiles> {
  const { dir, certificate } = options
  const file = async (name: string, content: string | object) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content, undefined, 2)
    await writeFile(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  await mkdir(join(dir, 'cni'))
  await file('cni/10-pods.conflist', podNetwork())
  const kubelet = kubeletConfiguration(options, {
    clientCA: await file('kubelet-ca.crt', certificate.caPem),
    cert: await file('kubelet.crt', certificate.certPem),
    key: await file('kubelet.key', certificate.keyPem),
    resolvConf: await file('resolv.conf', ''),
  })
  return {
    containerd: await file('containerd.toml', containerdConfiguration(options)),
    kubelet: await file('kubelet.json', kubelet),
    proxy: await file('proxy.json', proxyConfiguration(options)),
    dns: await file('Corefile', dnsConfiguration(options)),
  }
}

/** With `ptp`, pods reach each other through the node only: answers take the way back through kube-proxy's rules, also without br_netfilter. */
function podNetwork(): object {
  const ipam = {
    type: 'host-local',
    dataDir: '/run/cni-addresses',
    ranges: [[{ subnet: ADDRESSES.pods }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  return { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] }
}

/** `restrict_oom_score_adj`: who lacks CAP_SYS_RESOURCE may not lower the score of a sandbox. */
function containerdConfiguration({ dir, runc, cniPlugins }: NodeFilesOptions): string {
  const absent = [
    'nri.v1.nri',
    ...['btrfs', 'zfs', 'devmapper', 'blockfile', 'erofs'].map((name) => `snapshotter.v1.${name}`),
  ]
  return `version = 4
root = '${join(dir, 'containerd')}'
state = '/run/containerd'
imports = []
disabled_plugins = [${absent.map((name) => `'io.containerd.${name}'`).join(', ')}]
[grpc]
  address = '${CONTAINERD_SOCKET}'
[plugins.'io.containerd.internal.v1.opt']
  path = '${join(dir, 'containerd-opt')}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '${runc}'
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['${cniPlugins}']
    conf_dir = '${join(dir, 'cni')}'
`
}

interface KubeletPaths {
  readonly clientCA: string
  readonly cert: string
  readonly key: string
  readonly resolvConf: string
}

function kubeletConfiguration({ dir, cgroup }: NodeFilesOptions, paths: KubeletPaths): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    address: ADDRESSES.node,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: paths.clientCA },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: paths.cert,
    tlsPrivateKeyFile: paths.key,
    clusterDomain: CLUSTER_DOMAIN,
    clusterDNS: [ADDRESSES.dns],
    resolvConf: paths.resolvConf,
    volumePluginDir: join(dir, 'volume-plugins'),
    nodeStatusUpdateFrequency: '5s',
    // Images that were collected could not be pulled again, and a full disk of this machine is none of the tests' business.
    imageGCHighThresholdPercent: 100,
    imageMinimumGCAge: '24h',
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    maxOpenFiles: openFilesLimit(),
    oomScoreAdj: 0,
  }
}

/** Limits of the connection table are the machine's: zero leaves them alone. */
function proxyConfiguration({ kubeconfigs }: NodeFilesOptions): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: ADDRESSES.pods,
    hostnameOverride: NODE_NAME,
    clientConnection: { kubeconfig: kubeconfigs.proxy },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    nftables: { syncPeriod: '30s', minSyncPeriod: '100ms' },
    oomScoreAdj: 0,
  }
}

/** Names of the world outside do not exist: a block of its own says so, as `template` would otherwise answer before `kubernetes`. */
function dnsConfiguration({ kubeconfigs }: NodeFilesOptions): string {
  return `${CLUSTER_DOMAIN}:53 in-addr.arpa:53 {
  bind ${ADDRESSES.node}
  errors
  kubernetes ${CLUSTER_DOMAIN} in-addr.arpa {
    kubeconfig ${kubeconfigs.dns}
    ttl 5
  }
}
.:53 {
  bind ${ADDRESSES.node}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`
}

/** The hard limit of this process, which the kubelet may not exceed. */
function openFilesLimit(): number {
  const limit = Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }))
  return Number.isInteger(limit) ? Math.min(limit, 1_000_000) : 1_000_000
}
