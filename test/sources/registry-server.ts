/** An OCI registry by distribution, and the ORAS client that pushes to it. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { goProgram } from './programs.ts'
import { startServerProcess } from './server-process.ts'

export const USER = 'puller'
export const PASSWORD = 'open-sesame-4711'
const BCRYPT_OF_PASSWORD = '$2a$04$zxUz/ywBSkpqIryCD9BiWOqSrDk5w/D7cZjzZUXpmWq24W.Mc7/NC'

export interface TokenService {
  /** Where it is. */
  readonly realm: string
  /** Public keys that its tokens are signed with. */
  readonly jwks: object
}

interface RegistryOptions {
  /** Nobody's by default. */
  readonly auth?: 'htpasswd' | TokenService
}

export interface Registry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly url: string
  /** Pushes files (`PATH:MEDIA-TYPE`) of the folder. @returns the digest of the manifest */
  readonly push: (reference: string, folder: string, args: readonly string[]) => Promise<string>
  /** Any other command of ORAS. */
  readonly oras: (args: readonly string[], folder?: string) => Promise<string>
  readonly stop: () => Promise<void>
}

export async function startRegistry({ auth }: RegistryOptions = {}): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-registry-'))
  const config = join(folder, 'config.json')
  await mkdir(join(folder, 'storage'))
  await writeFile(join(folder, 'htpasswd'), `${USER}:${BCRYPT_OF_PASSWORD}\n`)
  // YAML takes JSON.
  await writeFile(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
      http: { secret: 'of no use' },
      ...(auth === undefined ? {} : { auth: await authConfig(auth, folder) }),
    }),
  )
  const { url, stop } = await startServerProcess({
    command: (port) => [
      'env',
      `REGISTRY_HTTP_ADDR=127.0.0.1:${port}`,
      'OTEL_TRACES_EXPORTER=none',
      ...[goProgram('registry'), 'serve', config],
    ],
  })
  const { host } = new URL(url)
  const oras = async (args: readonly string[], cwd = folder): Promise<string> => {
    const { stdout } = await promisify(execFile)(goProgram('oras'), args, { cwd })
    return stdout
  }
  const credentials = auth === 'htpasswd' ? ['--username', USER, '--password', PASSWORD] : []
  return {
    host,
    url,
    oras,
    async push(reference, from, args) {
      const how = ['push', '--plain-http', '--no-tty', '--format=json', ...credentials]
      const said = await oras([...how, `${host}/${reference}`, ...args], from)
      return (JSON.parse(said) as { digest: string }).digest
    },
    async stop() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}

async function authConfig(auth: 'htpasswd' | TokenService, folder: string): Promise<object> {
  if (auth === 'htpasswd') return { htpasswd: { realm: 'models', path: join(folder, 'htpasswd') } }
  const jwks = join(folder, 'jwks.json')
  await writeFile(jwks, JSON.stringify(auth.jwks))
  return { token: { realm: auth.realm, service: 'models', issuer: 'test', jwks, signingalgorithms: ['ES256'] } }
}
