/**
 * The traffic plan file: what one revision's pods are told about who answers which share of the requests.
 *
 * The operator writes one ConfigMap `<modeldeployment>-traffic` with one key per live revision, `<revision>.json`; a pod
 * reads only its own key. A missing key or file means: answer everything yourself. Ids only increase; a pod ignores a plan
 * whose id is not greater than the one in force, and it acknowledges a plan by showing its id in the evidence.
 */

/** A share in permille, an integer in 0..1000. */
export type Permille = number

export interface PlanFile {
  /** Increases with every change of the plan of this ModelDeployment; 0 is "no plan yet". */
  readonly id: number
  /** The revision that this file is for. */
  readonly revision: string
  /** Where the relayed share goes. Absent when nothing is relayed or shadowed. */
  readonly peer?: PlanPeer
  /** The share of direct requests that the peer answers. */
  readonly weightPermille: Permille
  /** The share of direct requests that are copied to the peer in the background, beside our own answer. */
  readonly shadowPermille: Permille
  /** Requests with the same value of this header (lower case) always go to the same revision. */
  readonly stickyHeader?: string
  /** True for a revision that was replaced: it answers with `Connection: close` so that clients move to the new one. */
  readonly retired: boolean
}

export interface PlanPeer {
  readonly revision: string
  /** `host:port` of the peer revision's own Service (its ClusterIP: no name to look up, no DNS cache to go stale). */
  readonly address: string
  /** What it speaks there: plain HTTP when this is absent. */
  readonly scheme?: 'http' | 'https'
}

/** Name of the plan's key in the ConfigMap, and so of its file in the pod. */
export function planKey(revision: string): string {
  return `${revision}.json`
}
