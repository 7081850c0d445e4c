/**
 * An in-process Kubernetes API server for the sandbox: HTTPS with its own certificate authority, bearer tokens, and an in-memory
 * store. Clients cannot tell it from a real kube-apiserver by what it answers; controllers and a kubelet are other parties'
 * work, which reach it as plain API clients. It is no cluster: nothing survives close().
 */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { makeServingCertificate } from './certificates.ts'
import type { ClusterIps } from './cluster-ips.ts'
import { defaultClusterIps } from './cluster-ips.ts'
import type { Cluster, PodLogs } from './cluster.ts'
import { CrdRegistrar } from './crd/registrar.ts'
import { openApi } from './discovery/openapi.ts'
import { ListPages } from './handlers/read.ts'
import { Connections } from './http/connections.ts'
import type { Faults, OnRequest } from './http/faults.ts'
import { Router } from './http/router.ts'
import { builtinTypes } from './kinds/builtin.ts'
import { ResourceCatalog } from './kinds/catalog.ts'
import { startingObjects } from './kinds/starting-objects.ts'
import { Store } from './store.ts'
import { loadBuiltinTypes } from './structure/builtin-types.ts'

export interface ApiServerOptions {
  /** Address to listen on, e.g. 127.16.0.1. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly podLogs?: PodLogs
  /** Addresses for Services; by default the upper half of the host's own loopback /16, or 10.96.0.0/16. */
  readonly clusterIps?: ClusterIps
  readonly token?: string
  /** How many changes of each resource a watch can go back (default 4,096); older ones get 410 Gone. */
  readonly watchHistory?: number
  /** How often watches that ask for bookmarks get one (default a minute, as in Kubernetes). */
  readonly bookmarkIntervalMs?: number
  /** Milliseconds since the epoch; tests may bring their own time. */
  readonly clock?: () => number
  /** Asked before each request is handled: lets tests refuse, delay or drop it. */
  readonly faults?: Faults
  /** Told of each request once it is answered. */
  readonly onRequest?: OnRequest
}

export interface ApiServer {
  readonly url: string
  readonly caPem: string
  readonly token: string
  /** A kubeconfig object for the admin user. kubectl reads JSON, which is YAML too. */
  kubeconfig(): Kubeconfig
  /** Forgets all watch history, as etcd's compaction does: watches and pages from before get 410 Gone. */
  compact(): void
  close(): Promise<void>
}

export interface Kubeconfig {
  readonly apiVersion: 'v1'
  readonly kind: 'Config'
  readonly clusters: readonly { name: string; cluster: { server: string; 'certificate-authority-data': string } }[]
  readonly users: readonly { name: string; user: { token: string } }[]
  readonly contexts: readonly { name: string; context: { cluster: string; user: string; namespace: string } }[]
  readonly 'current-context': string
}

const DEFAULT_HISTORY = 4096
const DEFAULT_BOOKMARK_MS = 60_000
const LIST_SNAPSHOTS = 32
const VERSION = {
  major: '1',
  minor: '37',
  gitVersion: 'v1.37.2+penstock-sandbox',
  platform: `${process.platform}/${process.arch}`,
}

/** Starts a server. Rejects with EADDRINUSE when the address is taken. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const certificate = await makeServingCertificate(
    [options.host, '127.0.0.1'],
    ['localhost', 'kubernetes', 'kubernetes.default.svc'],
  )
  const token = options.token ?? randomBytes(32).toString('base64url')
  const clock = options.clock ?? Date.now
  const store = new Store(options.watchHistory ?? DEFAULT_HISTORY)
  const catalog = new ResourceCatalog()
  const cluster: Cluster = { store, catalog, clock, podLogs: options.podLogs }
  const structures = loadBuiltinTypes()
  for (const type of builtinTypes(structures, options.clusterIps ?? defaultClusterIps(options.host))) catalog.add(type)
  const registrar = new CrdRegistrar(cluster, structures)
  for (const [shelf, object] of startingObjects(clock())) store.put(shelf, object)

  const pages = new ListPages(LIST_SNAPSHOTS)
  const router = new Router(cluster, pages, VERSION, (path) => openApi(catalog, path))
  const connections = new Connections({
    cluster,
    router,
    token,
    types: structures,
    bookmarkIntervalMs: options.bookmarkIntervalMs ?? DEFAULT_BOOKMARK_MS,
    faults: options.faults,
    onRequest: options.onRequest,
  })
  const server = createServer({
    key: certificate.keyPem,
    cert: certificate.certPem,
    keepAlive: true,
    requestTimeout: 0,
  })
  server.on('request', (request, response) => void connections.serve(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const url = `https://${options.host}:${(server.address() as AddressInfo).port}`
  return {
    url,
    token,
    caPem: certificate.caPem,
    kubeconfig: () => kubeconfigOf(url, certificate.caPem, token),
    compact() {
      store.compact()
      pages.forget()
    },
    async close() {
      registrar.close()
      connections.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function kubeconfigOf(server: string, caPem: string, token: string): Kubeconfig {
  const name = 'penstock-sandbox'
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name, context: { cluster: name, user: 'admin', namespace: 'default' } }],
    'current-context': name,
  }
}
