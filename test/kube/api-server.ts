/**
 * The real kube-apiserver behind the interface of the sandbox's, so that tests which were written against the one also judge the other.
 * No controllers run: an object stays as the test left it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '../../operator/kube/client.ts'
import { isAlreadyExists } from '../../operator/kube/errors.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { SERVICE_ACCOUNT } from '../../operator/kube/resources.ts'
import { createTransport } from '../../operator/kube/transport.ts'
import type { ApiServer, ApiServerOptions } from '../../sandbox/apiserver/apiserver.ts'
import { addressesOf, type Addresses } from './addresses.ts'
import { findBinaries } from './binaries.ts'
import { startControlPlane } from './control-plane.ts'
import { kubeconfigOf } from './kubeconfig-file.ts'
import { startTap } from './tap.ts'

const TAP_PORT = 6443

/** Of the options only `faults` and `onRequest` mean anything here. */
export async function startApiServer({ faults, onRequest }: Partial<ApiServerOptions>): Promise<ApiServer> {
  await using starting = new AsyncDisposableStack()
  const addresses = addressesOf(Number(process.env.JEST_WORKER_ID ?? 1) - 1)
  const dir = await mkdtemp(join(tmpdir(), 'penstock-kube-'))
  starting.defer(() => rm(dir, { recursive: true, force: true }))
  const plane = await startControlPlane({ binaries: await findBinaries(), dir, addresses, controllers: false })
  starting.defer(() => plane.stop())
  await makeDefaultAccount(plane.kubeconfigPath)
  const certificate = await plane.authority.issue({ commonName: 'tap', usage: 'server', addresses: [addresses.tap] })
  const tap = await startTap({
    ...{ certificate, host: addresses.tap, port: TAP_PORT, target: plane.url },
    ...(faults === undefined ? {} : { faults }),
    ...(onRequest === undefined ? {} : { onRequest }),
  })
  starting.defer(() => tap.close())
  const running = starting.move()
  const { token, authority } = plane
  return {
    url: tap.url,
    token,
    caPem: authority.caPem,
    kubeconfig: () => kubeconfigOf({ server: tap.url, caPem: authority.caPem, token }),
    compact: () => void compact(addresses),
    close: () => running.disposeAsync(),
  }
}

/** What the service account controller would do; the API server refuses pods without it. */
async function makeDefaultAccount(kubeconfigPath: string): Promise<void> {
  const transport = createTransport(loadKubeConfig({ path: kubeconfigPath }))
  try {
    await createClient(transport).create(SERVICE_ACCOUNT, { metadata: { name: 'default', namespace: 'default' } })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  } finally {
    transport.close()
  }
}

/** Through etcd's JSON gateway. The API server's own watch cache still knows what came before. */
async function compact({ controlPlane }: Addresses): Promise<void> {
  const ask = async (call: string, body: object) => {
    const answer = await fetch(`http://${controlPlane}:2379/v3/kv/${call}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    return (await answer.json()) as { header: { revision: string } }
  }
  const { header } = await ask('range', { key: Buffer.from('/').toString('base64') })
  await ask('compaction', { revision: header.revision })
}
