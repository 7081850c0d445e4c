import { availableParallelism, totalmem } from 'node:os'
import { quantityValue } from '../../../operator/kube/quantity.ts'
import type { Container, Pod, ResourceFieldRef } from '../objects.ts'
import { allContainers } from './record.ts'

/** What a pod is told about itself beyond its own object. */
export interface PodAddresses {
  readonly podIP: string
  readonly hostIP: string
}

const KEYED = /^metadata\.(labels|annotations)\['([^']+)'\]$/

/** The value of a `fieldRef`; undefined for a path that the downward API does not have. */
export function fieldValue(pod: Pod, path: string, addresses: PodAddresses): string | undefined {
  const keyed = KEYED.exec(path)
  if (keyed !== null) {
    const [, kind, key = ''] = keyed
    return (kind === 'labels' ? pod.metadata.labels : pod.metadata.annotations)?.[key] ?? ''
  }
  const values: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'metadata.labels': keyedLines(pod.metadata.labels),
    'metadata.annotations': keyedLines(pod.metadata.annotations),
    'spec.nodeName': pod.spec.nodeName ?? '',
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? '',
    'status.podIP': addresses.podIP,
    'status.podIPs': addresses.podIP,
    'status.hostIP': addresses.hostIP,
    'status.hostIPs': addresses.hostIP,
  }
  return values[path]
}

/** The format of downward API files: sorted `key="value"` lines. */
function keyedLines(values: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(values ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/** The value of a `resourceFieldRef`, in units of its divisor, rounded up; without a limit: what the machine has. */
export function resourceValue(pod: Pod, own: Container | undefined, ref: ResourceFieldRef): string | undefined {
  const container =
    ref.containerName === undefined ? own : allContainers(pod).find((each) => each.name === ref.containerName)
  const [kind, name = ''] = ref.resource.split('.')
  if (kind !== 'limits' && kind !== 'requests') return undefined
  const declared = container?.resources?.[kind]?.[name]
  const value = declared === undefined ? undeclared(kind, name) : quantityValue(declared)
  const divisor = quantityValue(ref.divisor ?? '1') || 1
  return value === undefined ? undefined : String(Math.ceil(value / divisor))
}

function undeclared(kind: string, name: string): number | undefined {
  if (name === 'cpu') return kind === 'limits' ? availableParallelism() : 0
  if (name === 'memory') return kind === 'limits' ? totalmem() : 0
  return undefined
}
