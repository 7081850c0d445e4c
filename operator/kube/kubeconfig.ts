import { accessSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { load } from 'js-yaml'

const IN_CLUSTER_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token'

export interface KubeConfigSource {
  /** A kubeconfig file; it wins over everything else. */
  readonly path?: string
  /** A context in it, in place of its current one. */
  readonly context?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Finds out how to reach the cluster, in controller-runtime's order: the given file, `KUBECONFIG`, the pod's service account,
 * `~/.kube/config`.
 *
 * @throws Error that names what was looked for, when there is none of them or the context does not exist.
 */
export function loadKubeConfig(source: KubeConfigSource = {}): KubeConfig {
  const env = source.env ?? process.env
  const named = source.path ?? (env.KUBECONFIG === '' ? undefined : env.KUBECONFIG)
  if (named !== undefined) return withContext(loadFiles(named.split(delimiter).filter((path) => path !== '')), source)
  if (env.KUBERNETES_SERVICE_HOST !== undefined && isReadable(IN_CLUSTER_TOKEN)) return loadInCluster()
  // Asked last: a user that is no user of the system, as in a container, may have no home.
  const home = join(env.HOME ?? homedir(), '.kube', 'config')
  if (isReadable(home)) return withContext(loadFiles([home]), source)
  throw new Error(`no cluster to talk to: there is no --kubeconfig, no KUBECONFIG, no service account and no ${home}`)
}

function loadInCluster(): KubeConfig {
  const config = new KubeConfig()
  config.loadFromCluster()
  return config
}

function loadFiles(paths: readonly string[]): KubeConfig {
  const configs = paths.map(loadFile)
  const [first, ...others] = configs
  if (first === undefined) throw new Error('KUBECONFIG names no file')
  for (const other of others) first.mergeConfig(other, true)
  return first
}

function loadFile(path: string): KubeConfig {
  const config = new KubeConfig()
  try {
    config.loadFromFile(path)
    restoreTokenFiles(config, path)
  } catch (error) {
    throw new Error(`kubeconfig ${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return config
}

/** client-node drops `tokenFile` of a user; the same thing under another name survives, and is re-read when the token rotates. */
function restoreTokenFiles(config: KubeConfig, path: string): void {
  const parsed = load(readFileSync(path, 'utf8')) as { users?: { name: string; user?: { tokenFile?: string } }[] }
  const tokenFiles = new Map(parsed.users?.map((each) => [each.name, each.user?.tokenFile]))
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name)
    if (tokenFile === undefined) return user
    const absolute = resolve(dirname(path), tokenFile)
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile: absolute } } }
  })
}

function withContext(config: KubeConfig, { context }: KubeConfigSource): KubeConfig {
  const name = context ?? config.getCurrentContext()
  if (config.getContextObject(name) === null) {
    const known = config.getContexts().map((each) => each.name)
    throw new Error(`kubeconfig has no context ${JSON.stringify(name)}; it has ${JSON.stringify(known)}`)
  }
  config.setCurrentContext(name)
  return config
}

function isReadable(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}
