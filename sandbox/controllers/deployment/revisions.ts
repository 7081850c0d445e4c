import type { Deployment, KubeObject, PodTemplate } from '../objects.ts'
import { canonical, sameMeaning } from '../canonical.ts'

export const POD_TEMPLATE_HASH = 'pod-template-hash'
export const REVISION = 'deployment.kubernetes.io/revision'
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history'
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas'
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas'
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
])
/** No vowels and no characters that look alike, so that no hash spells a word. */
const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

export function annotatedNumber(object: KubeObject, annotation: string): number | undefined {
  const text = object.metadata.annotations?.[annotation]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

export function revisionOf(object: KubeObject): number {
  return annotatedNumber(object, REVISION) ?? 0
}

/** A short name for a pod template: FNV-1a over its canonical JSON and the count of collisions met so far. */
export function templateHash(template: PodTemplate, collisionCount: number): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(`${canonical(template)}${collisionCount > 0 ? collisionCount : ''}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return [...String(hash)].map((digit) => SAFE_ALPHABET[digit.charCodeAt(0) % SAFE_ALPHABET.length]).join('')
}

/** Whether two templates run the same pods: equal but for the hash label. */
export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return sameMeaning(withoutHash(a), withoutHash(b))
}

function withoutHash(template: PodTemplate): unknown {
  const { labels, annotations, ...metadata } = template.metadata ?? {}
  const { [POD_TEMPLATE_HASH]: _hash, ...otherLabels } = labels ?? {}
  return {
    ...template,
    metadata: {
      ...metadata,
      creationTimestamp: null,
      labels: unlessEmpty(otherLabels),
      annotations: unlessEmpty(annotations ?? {}),
    },
  }
}

function unlessEmpty(map: Record<string, string>): Record<string, string> | null {
  return Object.keys(map).length === 0 ? null : map
}

/** The annotations that the newest ReplicaSet must carry: the Deployment's own, and its revision; an older revision joins the history. */
export function newestAnnotations(
  deployment: Deployment,
  current: Readonly<Record<string, string>>,
  revision: number,
): Record<string, string> {
  const own = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !NOT_COPIED.has(key))
  const annotations = { ...current, ...Object.fromEntries(own) }
  const before = current[REVISION]
  if (before !== undefined && Number(before) >= revision) return annotations
  annotations[REVISION] = String(revision)
  if (before !== undefined) {
    const history = current[REVISION_HISTORY]
    annotations[REVISION_HISTORY] = history === undefined || history === '' ? before : `${history},${before}`
  }
  return annotations
}
