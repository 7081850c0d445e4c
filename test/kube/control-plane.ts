/**
 * A Kubernetes control plane of real programs: etcd, kube-apiserver and kube-controller-manager, for tests.
 *
 * It expects to be in a network namespace of its own (see namespaces.ts) whose `lo` has its addresses, and promises that after
 * `stop()` none of its programs runs. Scheduling and running pods is left to a kubelet, and Services to a proxy.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from '../../operator/kube/client.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { SERVICE_ACCOUNT } from '../../operator/kube/resources.ts'
import { createTransport, type Transport } from '../../operator/kube/transport.ts'
import {
  makeAuthority,
  type CertificateAuthority,
  type ServingCertificate,
} from '../../sandbox/apiserver/certificates.ts'
import type { Addresses } from './addresses.ts'
import type { Binaries } from './binaries.ts'
import { note } from './figures.ts'
import { writeKubeconfig } from './kubeconfig-file.ts'
import { RunningProgram } from './processes.ts'

export interface ControlPlaneOptions {
  readonly binaries: Binaries
  /** For certificates, etcd's data and logs. */
  readonly dir: string
  readonly addresses: Pick<Addresses, 'controlPlane' | 'services'>
  /** False: nothing but the API. Default true. */
  readonly controllers?: boolean
  /** More users, and the groups that each is in. */
  readonly users?: Readonly<Record<string, readonly string[]>>
}

export interface ControlPlane {
  readonly url: string
  readonly authority: CertificateAuthority
  /** Of a member of `system:masters`. */
  readonly token: string
  /** Of the same user, towards the API server itself. */
  readonly kubeconfigPath: string
  /** Of one of the users that were asked for; resolves with its path. */
  kubeconfigOf(user: string): Promise<string>
  stop(): Promise<void>
}

const ADMINISTRATOR = 'kubernetes-admin'
const CONTROLLER_MANAGER = 'system:kube-controller-manager'
const API_READY_WITHIN_MS = 60_000
const CONTROLLERS_READY_WITHIN_MS = 60_000
const LOOK_TIMEOUT_MS = 2_000

/** Starts it; resolves once pods can be created. What had started is stopped again when something does not. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { addresses, dir } = options
  const startedAt = performance.now()
  await using starting = new AsyncDisposableStack()
  await mkdir(join(dir, 'logs'), { recursive: true })
  const authority = await makeAuthority('kubernetes-ca')
  const files = await writeFiles(options, authority)
  const url = `https://${addresses.controlPlane}:6443`
  const connect = { server: url, caPem: authority.caPem }
  const kubeconfigOf = (user: string) => {
    const token = files.tokens.get(user)
    if (token === undefined) throw new Error(`the control plane was started without a user ${user}`)
    return writeKubeconfig(join(dir, `${user.replaceAll(':', '-')}.kubeconfig`), { ...connect, token })
  }
  const kubeconfigPath = await kubeconfigOf(ADMINISTRATOR)
  const transport = createTransport(loadKubeConfig({ path: kubeconfigPath }), { maxRetries: 0 })
  starting.defer(() => transport.close())

  const start = (name: keyof Binaries, args: readonly string[]) => {
    const path = options.binaries[name]
    const program = new RunningProgram({ name, path, args, logPath: join(dir, 'logs', `${name}.log`) })
    starting.defer(() => program.stop())
    return program
  }
  start('etcd', etcdArguments(options))
  const apiServer = start('kube-apiserver', apiServerArguments(options, files))
  await apiServer.until('it was ready', () => isReady(transport), API_READY_WITHIN_MS)
  if (options.controllers !== false) {
    const path = await kubeconfigOf(CONTROLLER_MANAGER)
    const manager = start('kube-controller-manager', controllerManagerArguments(options, files, path))
    const canHavePods = () => hasDefaultAccount(transport)
    await manager.until('the default service account was there', canHavePods, CONTROLLERS_READY_WITHIN_MS)
  }
  transport.close()
  await note(
    options.controllers === false ? 'an API server was ready after' : 'a control plane was ready after',
    startedAt,
  )
  const running = starting.move()
  const token = files.tokens.get(ADMINISTRATOR) ?? ''
  return { url, authority, token, kubeconfigPath, kubeconfigOf, stop: () => running.disposeAsync() }
}

/** `/readyz` waits for the hooks that make the first namespaces and cluster roles. */
function isReady(transport: Transport): Promise<boolean> {
  return succeeds(async () =>
    (await transport.stream({ method: 'GET', path: '/readyz', timeoutMs: LOOK_TIMEOUT_MS })).destroy(),
  )
}

/** Without it, the API server refuses pods. */
function hasDefaultAccount(transport: Transport): Promise<boolean> {
  const name = { namespace: 'default', name: 'default' }
  return succeeds(() => createClient(transport).get(SERVICE_ACCOUNT, name, { timeoutMs: LOOK_TIMEOUT_MS }))
}

async function succeeds(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call()
    return true
  } catch {
    return false
  }
}

interface Files {
  readonly ca: string
  readonly serving: CertificateFiles
  readonly kubeletClient: CertificateFiles
  /** Signs the tokens of service accounts. */
  readonly accountKeys: { readonly key: string; readonly public: string }
  readonly tokenList: string
  /** Of each user. */
  readonly tokens: ReadonlyMap<string, string>
}

interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

async function writeFiles(options: ControlPlaneOptions, authority: CertificateAuthority): Promise<Files> {
  const { dir, addresses } = options
  const secret = async (name: string, content: string) => {
    await writeFile(join(dir, name), content, { mode: 0o600 })
    return join(dir, name)
  }
  const certificate = async (name: string, { certPem, keyPem }: ServingCertificate) => ({
    cert: await secret(`${name}.crt`, certPem),
    key: await secret(`${name}.key`, keyPem),
  })
  const serving = await authority.issue({
    commonName: 'kube-apiserver',
    usage: 'server',
    addresses: [addresses.controlPlane, firstAddressOf(addresses.services)],
    names: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
  })
  const kubeletClient = await authority.issue({
    commonName: 'kube-apiserver-kubelet-client',
    organization: 'system:masters',
    usage: 'client',
  })
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const groups = { [ADMINISTRATOR]: ['system:masters'], [CONTROLLER_MANAGER]: [], ...options.users }
  const tokens = new Map(Object.keys(groups).map((user) => [user, newToken()]))
  const tokenList = Object.entries(groups).map(
    ([user, own]) => `${tokens.get(user)},${user},${user},"${own.join(',')}"\n`,
  )
  return {
    ca: await secret('ca.crt', authority.caPem),
    serving: await certificate('apiserver', serving),
    kubeletClient: await certificate('kubelet-client', kubeletClient),
    accountKeys: { key: await secret('accounts.key', privateKey), public: await secret('accounts.pub', publicKey) },
    tokenList: await secret('tokens.csv', tokenList.join('')),
    tokens,
  }
}

function newToken(): string {
  return randomBytes(32).toString('base64url')
}

function firstAddressOf(network: string): string {
  return network.replace(/\.0\/\d+$/, '.1')
}

/** Nothing is synced to disk: the data is worth no more than the test. */
function etcdArguments({ dir, addresses }: ControlPlaneOptions): string[] {
  const [clients, peers] = [`http://${addresses.controlPlane}:2379`, `http://${addresses.controlPlane}:2380`]
  return [
    '--name=tests',
    `--data-dir=${join(dir, 'etcd')}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=tests=${peers}`,
  ]
}

function apiServerArguments({ addresses }: ControlPlaneOptions, files: Files): string[] {
  return [
    `--etcd-servers=http://${addresses.controlPlane}:2379`,
    `--bind-address=${addresses.controlPlane}`,
    `--advertise-address=${addresses.controlPlane}`,
    '--secure-port=6443',
    `--tls-cert-file=${files.serving.cert}`,
    `--tls-private-key-file=${files.serving.key}`,
    `--service-cluster-ip-range=${addresses.services}`,
    '--authorization-mode=Node,RBAC',
    // The second one refuses owners that may block a deletion to whoever may not set their finalizers, as OpenShift does.
    '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
    `--token-auth-file=${files.tokenList}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${files.accountKeys.public}`,
    `--service-account-signing-key-file=${files.accountKeys.key}`,
    `--kubelet-certificate-authority=${files.ca}`,
    `--kubelet-client-certificate=${files.kubeletClient.cert}`,
    `--kubelet-client-key=${files.kubeletClient.key}`,
    '--kubelet-preferred-address-types=InternalIP',
  ]
}

/** Its default of 20 requests per second delays the first service account by five seconds. */
function controllerManagerArguments(
  { addresses }: ControlPlaneOptions,
  files: Files,
  kubeconfigPath: string,
): string[] {
  return [
    `--kubeconfig=${kubeconfigPath}`,
    `--authentication-kubeconfig=${kubeconfigPath}`,
    `--authorization-kubeconfig=${kubeconfigPath}`,
    `--bind-address=${addresses.controlPlane}`,
    '--leader-elect=false',
    '--kube-api-qps=300',
    '--kube-api-burst=600',
    '--use-service-account-credentials',
    `--root-ca-file=${files.ca}`,
    `--service-account-private-key-file=${files.accountKeys.key}`,
    `--service-cluster-ip-range=${addresses.services}`,
  ]
}
