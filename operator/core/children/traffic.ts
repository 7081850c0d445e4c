import { planKey, type PlanFile } from '../../../protocol/plan.ts'
import type { ModelDeployment } from '../../api/resource.ts'
import { peerOf } from '../peer-address.ts'
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
