/** What the cluster could leave on this machine, seen from outside its namespaces. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ADDRESSES } from './addresses.ts'
import { groupsIn, type Hierarchies } from './cgroups.ts'

const run = promisify(execFile)

/** Where Kubernetes' programs put files unless they are told otherwise. */
const USUAL_PLACES = [
  ...[`.kube/cache/discovery/${ADDRESSES.controlPlane}_6443`, '.cache/helm', '.config/helm', '.local/share/helm'].map(
    (path) => join(homedir(), path),
  ),
  '/run/containerd',
  '/run/netns',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/var/lib/etcd',
  '/etc/cni/net.d',
  '/etc/kubernetes',
  '/opt/containerd',
  '/var/log/pods',
  '/var/log/containers',
]
/** Images may be built beside, and are mounted meanwhile. */
const OTHERS = /\/penstock\/images\/store-/
const GONE_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 250

export interface Look {
  readonly hierarchies: Hierarchies
  /** In the environment of every program of the cluster: `NAME=value`. */
  readonly mark: string
  /** Name of the control group of the pods. */
  readonly cgroup: string
  /** A directory that is empty outside. */
  readonly temporary: string
}

/** Of each kind of thing, what there is. */
type Traces = Readonly<Record<string, ReadonlySet<string>>>

/** Waits until there is nothing that was not there before. @returns what there is all the same, one line for each */
export async function leftSince(before: Traces, look: Look): Promise<string[]> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    const now = await tracesOn(look)
    const left = Object.entries(now).flatMap(([kind, things]) =>
      [...things].filter((thing) => before[kind]?.has(thing) !== true).map((thing) => `${kind}: ${thing}`),
    )
    if (left.length === 0 || performance.now() > deadline) return left
    await delay(LOOK_EVERY_MS)
  }
}

export async function tracesOn({ hierarchies, mark, cgroup, temporary }: Look): Promise<Traces> {
  const kinds: Readonly<Record<string, Promise<readonly string[]>>> = {
    mount: mounts(),
    'network link': readdir('/sys/class/net'),
    'network namespace': readdir('/run/netns').catch(() => []),
    route: output('ip', ['-oneline', 'route', 'show', 'table', 'all']),
    address: output('ip', ['-oneline', 'address']),
    'nftables rule': output('nft', ['--stateless', 'list', 'ruleset']),
    'iptables table': readFile('/proc/net/ip_tables_names', 'utf8').then(lines, () => []),
    'control group': Promise.all(hierarchies.all.map(groupsIn)).then((groups) =>
      // Of another run, if it is not ours; it will look itself.
      groups.flat().filter((group) => group.includes(`/${cgroup}`) || !group.includes('/penstock-e2e-')),
    ),
    process: processes(mark, cgroup),
    file: readdir(temporary).then((names) => [...names, ...USUAL_PLACES.filter(existsSync)]),
    'kernel setting': kernelSettings(),
  }
  const seen = Object.entries(kinds).map(async ([kind, things]) => [kind, new Set(await things)] as const)
  return Object.fromEntries(await Promise.all(seen))
}

/** Place, type and source: all that tells mounts apart but their numbers. */
async function mounts(): Promise<string[]> {
  const all = lines(await readFile('/proc/self/mountinfo', 'utf8')).map((line) => {
    const [mount = '', source = ''] = line.split(' - ')
    return `${mount.split(' ').slice(3, 5).join(' ')} ${source.split(' ').slice(0, 2).join(' ')}`
  })
  return all.filter((mount) => !OTHERS.test(mount))
}

async function output(program: string, args: readonly string[]): Promise<string[]> {
  // How long an address is still valid counts down.
  return lines((await run(program, args)).stdout.replace(/_lft \d+sec/g, ''))
}

async function processes(mark: string, cgroup: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  const ours = pids.map(async (pid) => {
    const read = (file: string) => readFile(join('/proc', pid, file), 'utf8').catch(() => '')
    const isOurs = (await read('environ')).includes(`${mark}\0`) || (await read('cgroup')).includes(`/${cgroup}/`)
    return isOurs ? [`${pid} ${(await read('cmdline')).replaceAll('\0', ' ').slice(0, 200)}`] : []
  })
  return (await Promise.all(ours)).flat()
}

async function kernelSettings(): Promise<string[]> {
  const names = [
    'vm/overcommit_memory',
    'vm/panic_on_oom',
    'kernel/panic',
    'kernel/panic_on_oops',
    'net/ipv4/ip_forward',
    'net/netfilter/nf_conntrack_max',
  ]
  const read = async (name: string) => {
    const path = join('/proc/sys', name)
    return (await stat(path).catch(() => undefined)) === undefined
      ? []
      : [`${name} = ${(await readFile(path, 'utf8')).trim()}`]
  }
  return (await Promise.all(names.map(read))).flat()
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}
