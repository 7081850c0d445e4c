import { writeFile } from 'node:fs/promises'
import type { Kubeconfig } from '../../sandbox/apiserver/apiserver.ts'

export interface Connection {
  readonly server: string
  readonly caPem: string
  readonly token: string
}

export function kubeconfigOf({ server, caPem, token }: Connection): Kubeconfig {
  const name = 'penstock-kube'
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name, context: { cluster: name, user: 'user', namespace: 'default' } }],
    'current-context': name,
  }
}

/** Only its owner may read it. Resolves with its path. */
export async function writeKubeconfig(path: string, connection: Connection): Promise<string> {
  await writeFile(path, JSON.stringify(kubeconfigOf(connection), undefined, 2), { mode: 0o600 })
  return path
}
