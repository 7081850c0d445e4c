/**
 * The programs of a Kubernetes control plane and of a node, and Helm: taken from `KUBEBUILDER_ASSETS` and `HELM_BIN`, what is not there from a cache
 * of this user, and what is not there either is built from Go modules into that cache. go.mod and go.sum in `mods/` fix every version and hash; the
 * cache is named by them, so a change builds anew.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../cache.ts'
import { buildGoProgram } from '../go-build.ts'

const run = promisify(execFile)
const MODS = join(import.meta.dirname, 'mods')
export const KUBERNETES_VERSION = 'v1.37.2'
const [MAJOR, MINOR] = KUBERNETES_VERSION.slice(1).split('.') as [string, string]
const HELM_VERSION = 'v4.3.1'
const CONTAINERD_VERSION = 'v2.4.2'
const CONTAINERD = 'github.com/containerd/containerd/v2'
const VERSION_FLAGS = [
  `-X ${CONTAINERD}/version.Version=${CONTAINERD_VERSION}`,
  `-X helm.sh/helm/v4/internal/version.version=${HELM_VERSION}`,
  `-X k8s.io/component-base/version.gitVersion=${KUBERNETES_VERSION}`,
  `-X k8s.io/component-base/version.gitMajor=${MAJOR}`,
  `-X k8s.io/component-base/version.gitMinor=${MINOR}`,
  `-X k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES_VERSION}`,
].join(' ')

/** What each program is built from: a folder of `mods/` and a package. */
const SOURCES = {
  etcd: { module: 'k8s', goPackage: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  'kube-controller-manager': { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kube-controller-manager' },
  kubectl: { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kubectl' },
  'kube-scheduler': { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kube-scheduler' },
  kubelet: { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kubelet' },
  'kube-proxy': { module: 'k8s', goPackage: 'k8s.io/kubernetes/cmd/kube-proxy' },
  containerd: { module: 'containerd', goPackage: `${CONTAINERD}/cmd/containerd` },
  'containerd-shim-runc-v2': { module: 'containerd', goPackage: `${CONTAINERD}/cmd/containerd-shim-runc-v2` },
  ctr: { module: 'containerd', goPackage: `${CONTAINERD}/cmd/ctr` },
  coredns: { module: 'coredns', goPackage: 'github.com/coredns/coredns' },
  pause: { module: 'pause', goPackage: '.' },
  helm: { module: 'helm', goPackage: 'helm.sh/helm/v4/cmd/helm' },
} as const

type Program = keyof typeof SOURCES

const CONTROL_PLANE = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const
const KUBERNETES_NODE = ['kube-scheduler', 'kubelet', 'kube-proxy'] as const
const RUNTIME = ['containerd', 'containerd-shim-runc-v2', 'ctr'] as const

type Paths<P extends Program> = Readonly<Record<P, string>>
export type Binaries = Paths<(typeof CONTROL_PLANE)[number]>
/** What turns a control plane into a cluster of one node. */
export type NodeBinaries = Paths<(typeof KUBERNETES_NODE)[number] | (typeof RUNTIME)[number] | 'coredns' | 'pause'>

export interface BinariesOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Told what is being built, as that takes minutes. */
  readonly say?: (line: string) => void
}

/**
 * Finds the programs of a control plane, and builds what neither `KUBEBUILDER_ASSETS` (setup-envtest knows of no kube-controller-manager) nor
 * the cache has.
 * @throws Error when their versions do not go together @throws CannotRunError when something is to be built, but not here
 */
export async function findBinaries(options: BinariesOptions = {}): Promise<Binaries> {
  await refuseOtherVersions(['kube-apiserver', 'kube-controller-manager'], options)
  return fromAssetsOrCache(CONTROL_PLANE, options)
}

/** Finds kubectl alone, or builds it. @throws as `findBinaries` does */
export async function findKubectl(options: BinariesOptions = {}): Promise<string> {
  return (await fromAssetsOrCache(['kubectl'], options)).kubectl
}

/** Finds the programs of a node, and builds what the cache lacks. @throws as `findBinaries` does */
export async function findNodeBinaries(options: BinariesOptions = {}): Promise<NodeBinaries> {
  await refuseOtherVersions(['kube-apiserver', 'kubelet'], options)
  return {
    ...(await fromCache(KUBERNETES_NODE, options)),
    ...(await fromCache(RUNTIME, options)),
    ...(await fromCache(['coredns'], options)),
    ...(await fromCache(['pause'], options)),
  }
}

/** Finds Helm 4, or builds it. @throws CannotRunError when it is to be built, but not here */
export async function findHelm(options: BinariesOptions = {}): Promise<string> {
  const own = (options.env ?? process.env).HELM_BIN
  return own === undefined || own === '' ? (await fromCache(['helm'], options)).helm : own
}

function assetsOf({ env = process.env }: BinariesOptions): string | undefined {
  return env.KUBEBUILDER_ASSETS === '' ? undefined : env.KUBEBUILDER_ASSETS
}

/** All of them from the same module. */
async function fromAssetsOrCache<P extends Program>(
  programs: readonly P[],
  options: BinariesOptions,
): Promise<Paths<P>> {
  const assets = assetsOf(options)
  if (assets === undefined) return fromCache(programs, options)
  const missing = missingIn(assets, programs)
  const there = programs.filter((program) => !missing.includes(program))
  const built = missing.length === 0 ? {} : await fromCache(missing, options)
  return { ...pathsIn(assets, there), ...built }
}

/** None may be newer than the API server, and controllers that are older are none of those that are tested: one minor version for all. */
async function refuseOtherVersions(programs: readonly Program[], options: BinariesOptions): Promise<void> {
  const assets = assetsOf(options)
  if (assets === undefined) return
  const missing = missingIn(assets, programs)
  const versions = await Promise.all(
    programs.map(async (name) => ({
      name,
      version: missing.includes(name) ? KUBERNETES_VERSION : await versionOf(join(assets, name)),
    })),
  )
  const minors = new Set(versions.map(({ version }) => version.split('.', 2).join('.')))
  if (minors.size === 1) return
  const found = versions.map(
    ({ name, version }) => `${name} ${version}${missing.includes(name) ? ' (built here)' : ''}`,
  )
  throw new Error(
    `KUBEBUILDER_ASSETS=${assets} makes a cluster of ${found.join(' and ')}, which do not go together: take assets of ` +
      `${KUBERNETES_VERSION.split('.', 2).join('.')} (setup-envtest use), or unset it to build Kubernetes ${KUBERNETES_VERSION}`,
  )
}

/** Of one of Kubernetes' own programs, such as `v1.37.2`. */
async function versionOf(path: string): Promise<string> {
  const { stdout } = await run(path, ['--version'])
  const version = /\bv\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]
  if (version === undefined) throw new Error(`${path} --version says no version: ${stdout.trim()}`)
  return version
}

/** All of them from the same module. */
async function fromCache<P extends Program>(
  programs: readonly P[],
  { env = process.env, say = () => undefined }: BinariesOptions,
): Promise<Paths<P>> {
  const [first] = programs
  const bin = join(cacheDirectory(env), first === undefined ? '' : fingerprint(SOURCES[first].module), 'bin')
  const missing = missingIn(bin, programs)
  if (missing.length > 0) await buildAll(missing, bin, say)
  return pathsIn(bin, programs)
}

/** Where everything that is built or run is kept: `PENSTOCK_KUBE_CACHE`, or a folder of the user's cache directory. */
export function cacheDirectory(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const own = env.PENSTOCK_KUBE_CACHE
  if (own !== undefined && own !== '') return own
  return cacheFolder('kube', env)
}

/** Of the sources: twelve hexadecimal digits of the SHA-256 of go.mod, go.sum and what else is there. */
function fingerprint(module: string): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(join(MODS, module)).sort()) hash.update(readFileSync(join(MODS, module, file)))
  return hash.digest('hex').slice(0, 12)
}

function pathsIn<P extends Program>(directory: string, programs: readonly P[]): Paths<P> {
  return Object.fromEntries(programs.map((program) => [program, join(directory, program)])) as Paths<P>
}

function missingIn<P extends Program>(directory: string, programs: readonly P[]): P[] {
  return programs.filter((program) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return false
    } catch {
      return true
    }
  })
}

async function buildAll(programs: readonly Program[], bin: string, say: (line: string) => void): Promise<void> {
  say(`building ${programs.join(', ')} from Go modules into ${bin}: minutes on two cores, once`)
  const beganAt = performance.now()
  for (const [index, program] of programs.entries()) {
    const startedAt = performance.now()
    say(`  ${index + 1}/${programs.length} ${program} ...`)
    const { module, goPackage } = SOURCES[program]
    await buildGoProgram({ module: join(MODS, module), goPackage, linkerFlags: VERSION_FLAGS }, join(bin, program))
    say(`  ${index + 1}/${programs.length} ${program}: ${secondsSince(startedAt)} s`)
  }
  say(`built ${programs.join(', ')} in ${secondsSince(beganAt)} s`)
}

function secondsSince(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(0)
}
