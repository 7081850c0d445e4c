/** S3 by versitygw, which checks signatures, regions and policies; objects are put by Amazon's own client. */
import { execFile } from 'node:child_process'
import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { goProgram } from './programs.ts'
import { pythonOf, runScript } from './python-programs.ts'
import { startServerProcess } from './server-process.ts'

const ACCESS_KEY = 'AKIATESTTESTTEST'
const SECRET_KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLE'
const STRANGERS_ACCESS_KEY = 'AKIASTRANGER'
const STRANGERS_SECRET_KEY = 'je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY'
const REGION = 'eu-central-7'
/** Buckets are below this name as well, as Amazon has them. */
export const VIRTUAL_DOMAIN = 's3.test'

interface Bucket {
  readonly name: string
  readonly versioned?: boolean
  /** Anybody may read it. */
  readonly public?: boolean
  readonly objects: readonly { readonly key: string; readonly file: string }[]
}

export interface S3Server {
  readonly url: string
  /** What a Secret would hold. */
  readonly env: Readonly<Record<string, string>>
  /** Of a user who was granted nothing. */
  readonly strangersEnv: Readonly<Record<string, string>>
  /** @returns the version of each object; null where the bucket has none */
  readonly put: (...plan: readonly Bucket[]) => Promise<readonly (string | null)[]>
  readonly stop: () => Promise<void>
}

export async function startS3(): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-s3-'))
  const inFolder = (name: string) => join(folder, name)
  for (const each of ['buckets', 'versions', 'metadata', 'users']) await mkdir(inFolder(each))
  const python = await pythonOf('moto')
  const { url, stop } = await startServerProcess({
    command: (port) => [
      ...[goProgram('versitygw'), '--quiet', '--port', `127.0.0.1:${port}`, '--region', REGION],
      ...['--virtual-domain', `${VIRTUAL_DOMAIN}:${port}`, '--iam-dir', inFolder('users'), 'posix'],
      ...['--versioning-dir', inFolder('versions'), '--sidecar', inFolder('metadata'), inFolder('buckets')],
    ],
    env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
  })
  const asAdmin = ['admin', '--access', ACCESS_KEY, '--secret', SECRET_KEY, '--region', REGION, '--endpoint-url', url]
  const stranger = ['--access', STRANGERS_ACCESS_KEY, '--secret', STRANGERS_SECRET_KEY, '--role', 'user']
  await promisify(execFile)(goProgram('versitygw'), [...asAdmin, 'create-user', ...stranger])
  const place = { AWS_ENDPOINT_URL: url, AWS_REGION: REGION }
  return {
    url,
    env: { ...place, AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY },
    strangersEnv: {
      ...place,
      AWS_ACCESS_KEY_ID: STRANGERS_ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: STRANGERS_SECRET_KEY,
    },
    put: (...plan) =>
      runScript(python, { name: 'put_objects', args: [url, ACCESS_KEY, SECRET_KEY, JSON.stringify(plan)] }),
    async stop() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}
