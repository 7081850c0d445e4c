/** What the cluster needs of this machine. */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { findHierarchies } from './cgroups.ts'

const run = promisify(execFile)

/** Programs, and the packages of Debian that they are in. */
const PROGRAMS: Readonly<Record<string, string>> = {
  runc: 'runc',
  nft: 'nftables',
  ip: 'iproute2',
  mount: 'mount',
  unshare: 'util-linux',
}
const CNI_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni']
const CNI_PLUGINS = ['ptp', 'host-local', 'loopback']

/** Each is tried in namespaces of its own, which leave nothing behind. */
const TRIALS: Readonly<Record<string, string>> = {
  'links between network namespaces (CAP_NET_ADMIN, kernel module veth)': 'ip link add v0 type veth peer name v1',
  'address translation by nftables (kernel module nft_nat)':
    "nft 'add table ip t; add chain ip t c { type nat hook output priority -100; }; add rule ip t c ip daddr 10.96.0.1 dnat to 10.244.0.1'",
  'overlay file systems in memory (CAP_SYS_ADMIN, kernel module overlay)':
    'mount -t tmpfs t /tmp && cd /tmp && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m',
  'its own settings of the network (a writable /proc/sys)': 'echo 1 > /proc/sys/net/ipv4/ip_forward',
}

/** What this machine lacks, each with its remedy; empty when it lacks nothing. */
export async function missingRequirements(): Promise<string[]> {
  if (process.platform !== 'linux') return ['Linux: run it there']
  if (process.getuid?.() !== 0) return ['root: a container runtime needs it; run it with sudo']
  const missing = Object.entries(PROGRAMS)
    .filter(([program]) => findProgram(program) === undefined)
    .map(([program, name]) => `${program}: apt-get install -y ${name}`)
  if (findCniPlugins() === undefined)
    missing.push(`CNI plugins ${CNI_PLUGINS.join(', ')}: apt-get install -y containernetworking-plugins`)
  if (missing.length > 0) return missing
  return [...(await lackingControllers()), ...(await failingTrials())]
}

/** Path of a program, as root finds it. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** Folder of the CNI plugins. */
export function findCniPlugins(): string | undefined {
  return CNI_FOLDERS.find((folder) => CNI_PLUGINS.every((plugin) => existsSync(join(folder, plugin))))
}

async function lackingControllers(): Promise<string[]> {
  const { lacking } = await findHierarchies()
  return lacking.map(
    (name) =>
      `cgroup controller ${name} for groups of pods: mount it (version 1), or echo +${name} > /sys/fs/cgroup/cgroup.subtree_control (version 2)`,
  )
}

async function failingTrials(): Promise<string[]> {
  const failing: string[] = []
  for (const [what, command] of Object.entries(TRIALS)) {
    try {
      await run('unshare', ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--', 'sh', '-c', command])
    } catch (error) {
      const { stderr = '', message } = error as { stderr?: string; message: string }
      failing.push(`${what}: ${(stderr.trim() || message).replaceAll('\n', ' ')}`)
    }
  }
  return failing
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
