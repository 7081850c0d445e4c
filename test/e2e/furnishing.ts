/** What the cluster finds in its namespaces: a network that leads nowhere else, directories in memory, and kernel settings to play with. */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ADDRESSES } from './addresses.ts'

const run = promisify(execFile)

/** The kubelet sets these for the whole machine and ends where it may not: it finds files instead that hold what it wants. */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
}

/** Called inside, first of all. */
export async function furnishNode(temporary: string): Promise<void> {
  // Pods share mounts with the node, as the kubelet has it; the peers are all in this namespace.
  await run('mount', ['--make-rshared', '/'])
  for (const path of ['/run', '/var/log']) await mountMemory(path)
  await mkdir('/run/netns')
  await coverState()
  await mountMemory(temporary)
  await pretendKernelSettings(join(temporary, 'kernel'))
  await furnishNetwork()
}

async function mountMemory(path: string): Promise<void> {
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'penstock', path])
}

/** Programs find what is in `/var/lib`, and what they write there is in memory: CNI has a folder there that cannot be had elsewhere. */
async function coverState(): Promise<void> {
  const [upper, work] = ['/run/penstock-state', '/run/penstock-state.work']
  for (const path of [upper, work]) await mkdir(path)
  const layers = `lowerdir=/var/lib,upperdir=${upper},workdir=${work}`
  await run('mount', ['-t', 'overlay', '-o', layers, 'penstock', '/var/lib'])
}

async function pretendKernelSettings(dir: string): Promise<void> {
  await mkdir(dir)
  for (const [name, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(dir, name.replaceAll('/', '.'))
    await writeFile(file, `${value}\n`)
    await run('mount', ['--bind', file, join('/proc/sys', name)])
  }
}

/** Cluster addresses need a route, or connecting to one fails before kube-proxy's rules have seen it. */
async function furnishNetwork(): Promise<void> {
  const { controlPlane, node, services } = ADDRESSES
  await run('ip', ['link', 'set', 'lo', 'up'])
  await run('ip', ['link', 'add', 'node', 'type', 'veth', 'peer', 'name', 'nowhere'])
  for (const address of [controlPlane, node]) await run('ip', ['address', 'add', `${address}/24`, 'dev', 'node'])
  for (const link of ['node', 'nowhere']) await run('ip', ['link', 'set', link, 'up'])
  await run('ip', ['route', 'add', services, 'dev', 'node', 'src', controlPlane])
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1')
}
