import { isAlreadyExists, isNotFound } from '../../../operator/kube/errors.ts'
import { keyOf } from '../cache.ts'
import type { Controller } from '../controller.ts'
import { discoverResources } from '../discovery.ts'
import type { Namespace } from '../objects.ts'
import { isDeleting } from '../pod-state.ts'
import { DEFAULT_SERVICE_ACCOUNT, ROOT_CERTIFICATE, type World } from '../world.ts'

const FINALIZER = 'kubernetes'
/** How soon to look whether a namespace that is being deleted is empty. */
const EMPTYING_POLL_MS = 200
const ROOT_CERTIFICATE_DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or ' +
  'kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'

/** Furnishes each namespace with what pods expect in it, and empties the ones that are being deleted. */
export function namespaceController(world: World, certificateAuthority: string): Controller {
  const { namespaces, serviceAccounts, rootCertificates } = world
  return {
    name: 'namespace',
    watch(enqueue) {
      namespaces.cache.subscribe(({ after }) => {
        if (after !== undefined) enqueue(keyOf(after))
      })
      for (const furniture of [serviceAccounts, rootCertificates]) {
        furniture.cache.subscribe(({ before, after }) => {
          const { namespace } = (after ?? before)?.metadata ?? {}
          if (namespace !== undefined && after === undefined) enqueue(namespace)
        })
      }
    },
    async sync(key) {
      const namespace = namespaces.cache.get(key)
      if (namespace === undefined) return undefined
      if (isDeleting(namespace)) return empty(world, namespace)
      await furnish(world, key, certificateAuthority)
      return undefined
    },
  }
}

async function furnish(
  { serviceAccounts, rootCertificates }: World,
  namespace: string,
  certificateAuthority: string,
): Promise<void> {
  if (serviceAccounts.cache.inNamespace(namespace).length === 0) {
    await unlessThere(
      serviceAccounts.create({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { namespace, name: DEFAULT_SERVICE_ACCOUNT },
      }),
    )
  }
  if (rootCertificates.cache.inNamespace(namespace).length === 0) {
    const annotations = { 'kubernetes.io/description': ROOT_CERTIFICATE_DESCRIPTION }
    const metadata = { namespace, name: ROOT_CERTIFICATE, annotations }
    await unlessThere(
      rootCertificates.create({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata,
        data: { 'ca.crt': certificateAuthority },
      }),
    )
  }
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}

/** Deletes everything in a namespace; when nothing is left, lets it go. */
async function empty({ client, namespaces, nowMs }: World, namespace: Namespace): Promise<number | undefined> {
  if (namespace.spec?.finalizers?.includes(FINALIZER) !== true) return undefined
  const { name } = namespace.metadata
  const resources = (await discoverResources(client)).filter((resource) => resource.namespaced)
  const remaining = await Promise.all(
    resources.map(async (resource) => {
      const { items } = await client.list(resource, { namespace: name })
      for (const item of items) {
        if (item.metadata?.deletionTimestamp !== undefined) continue
        await unlessGone(
          client.delete(resource, { namespace: name, name: item.metadata?.name ?? '' }, { propagation: 'Background' }),
        )
      }
      return items.length
    }),
  )
  if (remaining.some((count) => count > 0)) return nowMs() + EMPTYING_POLL_MS
  const finalizers = namespace.spec.finalizers.filter((finalizer) => finalizer !== FINALIZER)
  await unlessGone(
    client.update(
      namespaces.resource,
      { ...namespace, spec: { ...namespace.spec, finalizers } },
      { subresource: 'finalize' },
    ),
  )
  return undefined
}

async function unlessGone(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
