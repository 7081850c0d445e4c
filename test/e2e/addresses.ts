/** The addresses of the cluster. They exist in the network namespace of the tests and nowhere else. */
export const ADDRESSES = {
  /** etcd, the API server, and what the tests serve to pods. */
  controlPlane: '10.246.0.1',
  /** The kubelet and CoreDNS. */
  node: '10.246.0.2',
  services: '10.96.0.0/16',
  dns: '10.96.0.10',
  pods: '10.244.0.0/24',
} as const

export const NODE_NAME = 'node'
export const CLUSTER_DOMAIN = 'cluster.local'
