import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { TransportError } from './errors.ts'

/** Whom we talk to and who we are, at this moment. */
export interface Identity {
  readonly server: URL
  readonly tls: TlsMaterial
  readonly headers: Readonly<Record<string, string>>
  readonly proxyUrl?: string
}

export interface TlsMaterial {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export interface Credentials {
  /** Answers from memory; re-read after `lifetimeMs`, so that rotated tokens and certificates are taken up. */
  current(): Promise<Identity>
  /** The server did not accept this identity: the next `current()` reads everything anew, exec plugins included. */
  reject(identity: Identity): void
}

/** client-go re-reads a service account's token this often, and the kubelet replaces it well before it ends. */
const LIFETIME_MS = 60_000

type User = NonNullable<ReturnType<KubeConfig['getCurrentUser']>>

/** Credentials from a kubeconfig's current context. A failed re-read keeps the identity that worked until now. */
export function createCredentials(config: KubeConfig, lifetimeMs = LIFETIME_MS): Credentials {
  let known: { identity: Identity; readAtMs: number } | undefined
  let reading: Promise<Identity> | undefined
  let plugins = config

  async function read(): Promise<Identity> {
    try {
      const identity = await readIdentity(config, plugins)
      known = { identity, readAtMs: performance.now() }
      return identity
    } catch (error) {
      if (known === undefined) throw error
      known = { ...known, readAtMs: performance.now() }
      return known.identity
    } finally {
      reading = undefined
    }
  }

  return {
    async current() {
      if (known !== undefined && performance.now() - known.readAtMs < lifetimeMs) return known.identity
      reading ??= read()
      return reading
    },
    reject(identity) {
      if (known?.identity !== identity) return
      known = { identity, readAtMs: -Infinity }
      plugins = forgetful(config)
    },
  }
}

/** A copy without the tokens that plugins have cached. */
function forgetful(config: KubeConfig): KubeConfig {
  const Copy = config.constructor as new () => KubeConfig
  return Object.assign(new Copy(), {
    clusters: config.clusters,
    users: config.users,
    contexts: config.contexts,
    currentContext: config.currentContext,
  })
}

async function readIdentity(config: KubeConfig, plugins: KubeConfig): Promise<Identity> {
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  if (cluster === null) {
    throw new TransportError('connection', `kubeconfig context ${config.getCurrentContext()} names no known cluster`)
  }
  const plugged = user === null ? {} : await pluginOptions(user, plugins)
  const headers = user === null ? {} : await userHeaders(user)
  return {
    server: new URL(cluster.server),
    headers: { ...authorization(plugged), ...headers },
    tls: withoutUndefined({
      ca: await material(cluster.caFile, cluster.caData),
      cert: plugged.cert ?? (await material(user?.certFile, user?.certData)),
      key: plugged.key ?? (await material(user?.keyFile, user?.keyData)),
      servername: cluster.tlsServerName,
      rejectUnauthorized: cluster.skipTLSVerify ? false : undefined,
    }),
    ...(cluster.proxyUrl && { proxyUrl: cluster.proxyUrl }),
  }
}

function withoutUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}

async function material(file: string | undefined, data: string | undefined): Promise<Buffer | undefined> {
  if (file) return readFile(file)
  return data ? Buffer.from(data, 'base64') : undefined
}

async function userHeaders(user: User): Promise<Record<string, string>> {
  const bearer = user.token || (await tokenFrom(tokenFileOf(user)))
  const basic = user.username ? Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64') : undefined
  return {
    ...(basic !== undefined && { authorization: `Basic ${basic}` }),
    ...(bearer && { authorization: `Bearer ${bearer.trim()}` }),
    ...(user.impersonateUser && { 'impersonate-user': user.impersonateUser }),
  }
}

function tokenFileOf(user: User): string | undefined {
  const provider = user.authProvider as { config?: { tokenFile?: string } } | null | undefined
  return provider?.config?.tokenFile
}

async function tokenFrom(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : readFile(file, 'utf8')
}

/** Exec, OIDC and cloud plugins are client-node's; they answer a header or a client certificate. */
async function pluginOptions(user: User, plugins: KubeConfig): Promise<RequestOptions> {
  const { exec, authProvider } = user as { exec?: object | null; authProvider?: object | null }
  const usesPlugin = exec || (authProvider && tokenFileOf(user) === undefined)
  if (!usesPlugin) return {}
  const options: RequestOptions = { headers: {} }
  await plugins.applyToHTTPSOptions(options)
  return options
}

function authorization(options: RequestOptions): Record<string, string> {
  const headers = (options.headers ?? {}) as Record<string, string | undefined>
  const value = headers.Authorization ?? headers.authorization
  return value === undefined ? {} : { authorization: value }
}
