import { randomUUID } from 'node:crypto'
import { timestamp } from '../cluster.ts'
import type { KubeObject } from '../json.ts'

const NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

/** What every cluster has before anybody asks for anything: namespaces and their default service accounts, by shelf. */
export function startingObjects(now: number): (readonly [shelf: string, object: KubeObject])[] {
  const creationTimestamp = timestamp(now)
  return NAMESPACES.flatMap((name) => {
    const namespace: KubeObject = {
      kind: 'Namespace',
      apiVersion: 'v1',
      metadata: { name, uid: randomUUID(), creationTimestamp, labels: { 'kubernetes.io/metadata.name': name } },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    }
    const account: KubeObject = {
      kind: 'ServiceAccount',
      apiVersion: 'v1',
      metadata: { name: 'default', namespace: name, uid: randomUUID(), creationTimestamp },
    }
    return [
      ['namespaces', namespace],
      ['serviceaccounts', account],
    ] as const
  })
}
