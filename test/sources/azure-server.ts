/** Azure's blob storage by Azurite, which checks signatures and policies; blobs are put by Azure's own client. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
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
  /** `http://127.0.0.1:PORT/ACCOUNT` */
  readonly endpoint: string
  readonly connectionString: string
  /** @returns the signatures, as queries */
  readonly put: (plan: Plan) => Promise<readonly string[]>
  readonly stop: () => Promise<void>
}

export async function startAzure(): Promise<AzureServer> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-azure-'))
  const { url, stop } = await startServerProcess({
    command: (port) => [
      ...[process.execPath, azuriteScript(), '--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--location', folder, '--silent', '--skipApiVersionCheck', '--disableTelemetry'],
    ],
    env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` },
    cwd: folder,
  })
  const endpoint = `${url}/${ACCOUNT}`
  const connectionString = `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${endpoint};`
  return {
    endpoint,
    connectionString,
    async put(plan) {
      const installed = join(azuriteScript(), '../../../../../..')
      const script = join(import.meta.dirname, 'azurite/put-blobs.mjs')
      const args = [script, installed, JSON.stringify({ connectionString, ...plan })]
      const { stdout } = await promisify(execFile)(process.execPath, args)
      return JSON.parse(stdout) as string[]
    },
    async stop() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}
