import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import type { Client } from '../../operator/kube/client.ts'
import { objectPath, type KubeObject, type Resource } from '../../operator/kube/resource.ts'
import {
  CUSTOM_RESOURCE_DEFINITION,
  DEPLOYMENT,
  LEASE,
  NAMESPACE,
  POD_DISRUPTION_BUDGET,
  resource,
  SERVICE,
  SERVICE_ACCOUNT,
} from '../../operator/kube/resources.ts'

const MANIFEST = join(import.meta.dirname, '../../config/install.yaml')
const RBAC_API = 'rbac.authorization.k8s.io/v1'
const RESOURCES: readonly Resource[] = [
  NAMESPACE,
  CUSTOM_RESOURCE_DEFINITION,
  SERVICE_ACCOUNT,
  POD_DISRUPTION_BUDGET,
  SERVICE,
  LEASE,
  DEPLOYMENT,
  resource(RBAC_API, 'Role', 'roles'),
  resource(RBAC_API, 'RoleBinding', 'rolebindings'),
  resource(RBAC_API, 'ClusterRole', 'clusterroles', 'Cluster'),
  resource(RBAC_API, 'ClusterRoleBinding', 'clusterrolebindings', 'Cluster'),
]
const TOKEN_SECONDS = 7200

export interface Installation {
  /** Of the operator's service account. */
  readonly token: string
  /** Where the operator is installed, and has its lease. */
  readonly namespace: string
}

/**
 * Installs Penstock as `kubectl apply --server-side -f config/install.yaml` does, but without the operator's pods: the tests run it
 * themselves, with the token of its service account, so that a permission which the manifest lacks fails them.
 * @param scope a namespace, which is there: installs in it what the chart has for `scope.mode=Namespace`
 */
export async function install(client: Client, scope?: string): Promise<Installation> {
  const all = loadAll(await readFile(MANIFEST, 'utf8'), { filename: MANIFEST }) as KubeObject[]
  const documents = scope === undefined ? all : forNamespace(all, scope)
  for (const document of documents) {
    const found = RESOURCES.find(({ kind }) => kind === document.kind)
    if (found === undefined)
      throw new Error(`${MANIFEST} has a ${document.kind}: add its resource to ${import.meta.filename}`)
    const object = found === DEPLOYMENT ? withoutPods(document) : document
    await client.apply(found, object, { fieldManager: 'install', force: true })
  }
  const account = documents.find(({ kind }) => kind === SERVICE_ACCOUNT.kind)?.metadata
  if (account?.name === undefined || account.namespace === undefined)
    throw new Error(`${MANIFEST} has no ServiceAccount`)
  const { name, namespace } = account
  return { namespace, token: await tokenOf(client, { name, namespace }) }
}

interface RoleObject extends KubeObject {
  readonly rules: readonly object[]
}

/** No role of the cluster: its rules are of the namespace's. The chart's tests hold the chart to the same. */
function forNamespace(documents: readonly KubeObject[], scope: string): KubeObject[] {
  const bound = new Set(
    documents.filter(({ kind }) => kind === 'ClusterRoleBinding').map(({ metadata }) => metadata?.name),
  )
  const wide = documents.filter(({ kind, metadata }) => kind === 'ClusterRole' && bound.has(metadata?.name))
  const rules = (wide as RoleObject[]).flatMap((role) => role.rules)
  return documents
    .filter((each) => each.kind !== 'ClusterRoleBinding' && each.kind !== 'Namespace' && !wide.includes(each))
    .map((each) => {
      const { namespace, ...metadata } = each.metadata ?? {}
      if (namespace === undefined) return each
      const moved = { ...each, metadata: { ...metadata, namespace: scope } }
      if (each.kind === 'Role') return { ...moved, rules: [...(each as RoleObject).rules, ...rules] }
      const { subjects } = each as { subjects?: readonly object[] }
      return subjects === undefined
        ? moved
        : { ...moved, subjects: subjects.map((one) => ({ ...one, namespace: scope })) }
    })
}

function withoutPods(deployment: KubeObject): KubeObject {
  return { ...deployment, spec: { ...(deployment as { spec: object }).spec, replicas: 0 } } as KubeObject
}

async function tokenOf(client: Client, account: { name: string; namespace: string }): Promise<string> {
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: TOKEN_SECONDS },
  }
  const path = `${objectPath(SERVICE_ACCOUNT, account)}/token`
  const { status } = (await client.raw({ method: 'POST', path, body })) as { status: { token: string } }
  return status.token
}
