/** Azure's blob storage by Azurite, which checks signatures and policies; blobs are put by Azure's own client. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeAuthority } from '../../operator/kube/test-certificates.ts'
import { azuriteScript } from './programs.ts'
import { startServerProcess } from './server-process.ts'

export const ACCOUNT = 'penstockmodels'
/** Any base64. */
export const KEY = Buffer.from('the key of an account that is only in this test').toString('base64')

interface Plan {
  readonly containers: readonly {
    readonly name: string
    /** What anybody may read; nothing by default. */
    readonly access?: 'blob' | 'container'
    readonly blobs: readonly { readonly name: string; readonly file: string }[]
  }[]
  /** Shared access signatures to be made. */
  readonly signatures?: readonly {
    readonly container: string
    /** All of the container by default. */
    readonly blob?: string
    readonly permissions: string
    readonly expiresInSeconds: number
  }[]
}

export interface AzureServer {
  /** `http://127.0.0.1:PORT/ACCOUNT`, or with `https:` */
  readonly endpoint: string
  /** What a client needs to trust it. */
  readonly trust: Readonly<Record<string, string>>
  readonly connectionString: string
  /** @returns the signatures, as queries */
  readonly put: (plan: Plan) => Promise<readonly string[]>
  readonly stop: () => Promise<void>
}

/** @param door `https` also lets in who has a token of Entra ID, whose claims it checks, but not its signature */
export async function startAzure(door: 'http' | 'https' = 'http'): Promise<AzureServer> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-azure-'))
  const tls = door === 'https'
  const certificates = tls ? await writeCertificates(folder) : { trust: {}, flags: [] }
  const { url, stop } = await startServerProcess({
    tls,
    command: (port) => [
      ...[process.execPath, azuriteScript(), '--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--location', folder, '--silent', '--skipApiVersionCheck', '--disableTelemetry'],
      ...certificates.flags,
    ],
    env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` },
    cwd: folder,
  })
  const endpoint = `${url}/${ACCOUNT}`
  const connectionString = `DefaultEndpointsProtocol=${door};AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${endpoint};`
  const { trust } = certificates
  return {
    endpoint,
    trust,
    connectionString,
    async put(plan) {
      const installed = join(azuriteScript(), '../../../../../..')
      const script = join(import.meta.dirname, 'azurite/put-blobs.mjs')
      const args = [script, installed, JSON.stringify({ connectionString, ...plan })]
      const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...trust } })
      return JSON.parse(stdout) as string[]
    },
    async stop() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}

async function writeCertificates(folder: string): Promise<Pick<AzureServer, 'trust'> & { readonly flags: string[] }> {
  const authority = await makeAuthority()
  const { cert, key } = await authority.issue('127.0.0.1')
  const path = (name: string) => join(folder, name)
  await writeFile(path('ca.pem'), authority.certificate)
  await writeFile(path('cert.pem'), cert)
  await writeFile(path('key.pem'), key)
  const flags = ['--oauth', 'basic', '--cert', path('cert.pem'), '--key', path('key.pem')]
  return { trust: { NODE_EXTRA_CA_CERTS: path('ca.pem') }, flags }
}
