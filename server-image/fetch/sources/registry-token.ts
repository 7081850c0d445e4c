/**
 * How registries let in: the challenge of a first request names a token service or Basic (https://distribution.github.io/distribution/spec/auth/token/).
 * Credentials are looked up as Docker's tools do, or in the key of a Secret of type kubernetes.io/dockerconfigjson.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Authorize } from '../authorize.ts'
import { readDocument, readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Explain } from '../location.ts'
import type { Environment } from '../environment.ts'
import type { Remote } from '../persist.ts'

/** `user:password` in base64. */
export interface RegistryCredentials {
  readonly basic: string
}

interface DockerConfig {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly username?: string; readonly password?: string }>
  >
}

/** Undefined: ask anonymously. @throws FetchError when the configuration is damaged */
export function registryCredentials(env: Environment, registry: string): RegistryCredentials | undefined {
  const { auths = {} } = dockerConfig(env)
  const names = registry === 'docker.io' ? ['https://index.docker.io/v1/', 'index.docker.io', registry] : [registry]
  const found = Object.entries(auths).find(([name]) => names.some((wanted) => bare(name) === bare(wanted)))?.[1]
  if (found === undefined) return undefined
  const { auth, username, password } = found
  if (auth !== undefined && auth !== '') return { basic: auth }
  return username === undefined ? undefined : { basic: base64(`${username}:${password ?? ''}`) }
}

function bare(name: string): string {
  return name.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '')
}

/** Keys of a Secret become variables, so the configuration itself may be one. */
function dockerConfig(env: Environment): DockerConfig {
  const inline = env['.dockerconfigjson'] || env['DOCKER_AUTH_CONFIG']
  const folder = env['DOCKER_CONFIG']
  if (!inline && !folder) return {}
  try {
    return JSON.parse(inline || readFileSync(join(folder ?? '', 'config.json'), 'utf8')) as DockerConfig
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `The registry credentials (${inline ? '.dockerconfigjson' : 'config.json in DOCKER_CONFIG'}) are missing or no JSON; make the Secret with "kubectl create secret docker-registry".`,
    )
  }
}

export interface RegistryRequest {
  readonly url: URL
  readonly repository: string
  readonly credentials: RegistryCredentials | undefined
  readonly explain: Explain
}

/** What requests to the repository must carry; undefined when the registry wants nothing. */
export async function registryAuthorization(remote: Remote, asked: RegistryRequest): Promise<Authorize | undefined> {
  const { url, repository, credentials, explain } = asked
  const { status, headers } = await readDocument(remote, { url: new URL('/v2/', url), explain, alsoTake: [401] })
  if (status !== 401) return undefined
  const challenge = headers['www-authenticate'] ?? ''
  if (/^basic\b/i.test(challenge)) {
    return credentials === undefined ? undefined : () => ({ authorization: `Basic ${credentials.basic}` })
  }
  const parameter = (name: string) => new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(challenge)?.[1]
  const token = await tokenFrom(
    remote,
    tokenUrl(url, parameter('realm'), { service: parameter('service'), repository }),
    asked,
  )
  return () => ({ authorization: `Bearer ${token}` })
}

function tokenUrl(
  registry: URL,
  realm: string | undefined,
  { service, repository }: { service: string | undefined; repository: string },
): URL {
  const url = URL.parse(realm ?? '')
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new FetchError(
      'UnsupportedSource',
      `${registry.host} wants a sign-in of an unknown kind; check that it is an OCI registry.`,
    )
  }
  // Law: what was meant for a connection with TLS is not sent without it.
  if (registry.protocol === 'https:' && url.protocol !== 'https:') {
    throw new FetchError(
      'Forbidden',
      `${registry.host} has its token service on plain http (${url.host}), which is not asked; have it moved to https.`,
    )
  }
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${repository}:pull`)
  return url
}

async function tokenFrom(remote: Remote, url: URL, { credentials, explain }: RegistryRequest): Promise<string> {
  const authorize = credentials === undefined ? undefined : () => ({ authorization: `Basic ${credentials.basic}` })
  const answer = (await readJson(remote, { url, authorize, explain })) as { token?: unknown; access_token?: unknown }
  const token = answer.token ?? answer.access_token
  if (typeof token === 'string') return token
  throw new FetchError('Forbidden', `${url.host} answered without a token; check the credentials of the registry.`)
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
