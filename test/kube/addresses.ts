/** The addresses of one control plane and its node. All are local to `lo` in the network namespace of the tests, and exist nowhere else. */
export interface Addresses {
  /** etcd, kube-apiserver and kube-controller-manager. A real API server refuses loopback addresses in endpoints. */
  readonly controlPlane: string
  /** What the tests talk to: it passes requests on to the API server, see tap.ts. */
  readonly tap: string
  readonly node: string
  readonly services: string
  pod(index: number): string
}

/** Every address in these is local: nothing has to be added when pods and Services come. */
export const LOCAL_NETWORKS = ['10.96.0.0/12', '10.244.0.0/14'] as const

const MAX_SLOT = 15

export const PODS_PER_NODE = 16 * 254

/** Each slot has its own addresses, so that test files may run side by side. */
export function addressesOf(slot: number): Addresses {
  if (!Number.isInteger(slot) || slot < 0 || slot > MAX_SLOT)
    throw new Error(`slot ${slot} is not between 0 and ${MAX_SLOT}: run fewer test files at the same time`)
  const third = slot * 10
  return {
    controlPlane: `10.246.${third}.1`,
    tap: `10.246.${third}.2`,
    node: `10.246.${third}.3`,
    services: `10.${96 + slot}.0.0/16`,
    pod: (index) => `10.244.${16 * slot + Math.floor(index / 254)}.${1 + (index % 254)}`,
  }
}
