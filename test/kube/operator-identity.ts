import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import type { Client } from '../../operator/kube/client.ts'
import { objectPath, type KubeObject } from '../../operator/kube/resource.ts'
import { resource, SERVICE_ACCOUNT } from '../../operator/kube/resources.ts'

const RBAC_API = 'rbac.authorization.k8s.io/v1'
const RESOURCES = [
  SERVICE_ACCOUNT,
  resource(RBAC_API, 'Role', 'roles'),
  resource(RBAC_API, 'RoleBinding', 'rolebindings'),
  resource(RBAC_API, 'ClusterRole', 'clusterroles', 'Cluster'),
  resource(RBAC_API, 'ClusterRoleBinding', 'clusterrolebindings', 'Cluster'),
]
const TOKEN_SECONDS = 7200

/** Makes the operator's service account with what it may do, and resolves with a token of it. */
export async function operatorToken(client: Client): Promise<string> {
  const file = join(import.meta.dirname, 'rbac.yaml')
  const documents = loadAll(await readFile(file, 'utf8'), { filename: file }) as KubeObject[]
  for (const document of documents) {
    const found = RESOURCES.find(({ kind }) => kind === document.kind)
    if (found === undefined) throw new Error(`${file}: there should be no ${document.kind} among roles and accounts`)
    await client.create(found, document)
  }
  const account = documents.find(({ kind }) => kind === SERVICE_ACCOUNT.kind)?.metadata
  if (account === undefined) throw new Error(`${file} has no ServiceAccount`)
  const { name = '', namespace = '' } = account
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: TOKEN_SECONDS },
  }
  const path = `${objectPath(SERVICE_ACCOUNT, { name, namespace })}/token`
  const answer = (await client.raw({ method: 'POST', path, body: request })) as { status: { token: string } }
  return answer.status.token
}
