import { planKey, type PlanFile, type PlanPeer } from '../../../protocol/plan.ts'
import type { ModelDeployment } from '../../api/resource.ts'
import { peerAddress, peerOf } from '../peer-address.ts'
import { liveRevisions, type State } from '../state.ts'
import type { RevisionName } from '../revision.ts'
import { canonicalJson } from '../revision.ts'
import { SERVER_PORT, commonLabels, ownedMetadata, type KubeObject } from './object.ts'

export function trafficConfigMapName(modelDeployment: string): string {
  return `${modelDeployment}-traffic`
}

/**
 * The Relay's plan as files, one per live revision. Stable relays the candidate's share; a replaced revision relays everything to
 * the one that replaced it; a candidate answers whoever asks it (that is the preview).
 */
export function trafficConfigMap(owner: ModelDeployment, state: State): KubeObject {
  const files = liveRevisions(state).map((revision) => planFile(revision, state))
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMetadata(owner, trafficConfigMapName(owner.metadata.name), commonLabels(owner)),
    data: Object.fromEntries(files.map((file) => [planKey(file.revision), canonicalJson(file)])),
  }
}

/** The plan as the ConfigMap has it: what pods follow, whatever status says. */
export interface WrittenPlan {
  readonly id: number
  /** Addresses that its files relay to, as status remembers them. */
  readonly peers: Readonly<Record<RevisionName, string>>
}

/** What pods were last told. Lenient, as a ConfigMap is anybody's to bend: a file that makes no sense says nothing. */
export function writtenPlan(data: Readonly<Record<string, string>> | undefined): WrittenPlan | undefined {
  const files = Object.values(data ?? {}).flatMap((text) => parsedFile(text) ?? [])
  if (files.length === 0) return undefined
  const peers = files.flatMap(({ peer }) => (peer === undefined ? [] : [[peer.revision, addressOf(peer)] as const]))
  return { id: Math.max(...files.map(({ id }) => id)), peers: Object.fromEntries(peers) }
}

function parsedFile(text: string): Pick<PlanFile, 'id' | 'peer'> | undefined {
  try {
    const { id, peer } = JSON.parse(text) as Partial<PlanFile>
    if (!Number.isSafeInteger(id) || id === undefined) return undefined
    const isWhole = typeof peer?.revision === 'string' && typeof peer.address === 'string'
    return isWhole ? { id, peer } : { id }
  } catch {
    return undefined
  }
}

function addressOf({ address, scheme = 'http' }: PlanPeer): string {
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return peerAddress(scheme, host)
}

function planFile(revision: RevisionName, state: State): PlanFile {
  const { plan } = state
  const retired = state.retiring.some((old) => old.revision === revision)
  const target = retired ? state.stable : revision === state.stable ? plan.candidate : undefined
  const address = target === undefined ? undefined : plan.peers[target]
  const alone = { id: plan.id, revision, weightPermille: 0, shadowPermille: 0, retired }
  if (target === undefined || address === undefined) return alone
  const { scheme, clusterIP } = peerOf(address)
  return {
    ...alone,
    peer: {
      revision: target,
      address: `${bracketed(clusterIP)}:${SERVER_PORT}`,
      ...(scheme === 'https' && { scheme }),
    },
    weightPermille: retired ? 1000 : plan.weightPermille,
    shadowPermille: retired ? 0 : plan.shadowPermille,
    ...(plan.sticky !== undefined && !retired && { stickyHeader: plan.sticky }),
  }
}

function bracketed(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip
}
