/** The control groups that the pods are in: the one thing of the cluster which no namespace takes away. */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const NAME = /^penstock-e2e-(\d+)$/
const CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids'] as const
const GONE_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 100

export interface Hierarchies {
  /** Of version 1 one for each controller, of version 2 the only one: where pods need a group. */
  readonly used: readonly string[]
  /** Those, and the tree of version 2 beside them, in which runc makes a group as well. */
  readonly all: readonly string[]
  readonly version: 1 | 2
  /** Controllers that pods could not use here. */
  readonly lacking: readonly string[]
}

export async function findHierarchies(): Promise<Hierarchies> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' '))
  const of = (type: string) => mounts.filter(([, , each]) => each === type)
  const [first, second] = [of('cgroup'), of('cgroup2')]
  const used = first.length > 0 ? first : second
  const there =
    first.length > 0
      ? first.flatMap(([, , , options]) => options?.split(',') ?? [])
      : (await Promise.all(second.map(([, path]) => readFile(join(path ?? '', 'cgroup.subtree_control'), 'utf8'))))
          .join(' ')
          .split(/\s+/)
  return {
    used: pathsOf(used),
    all: pathsOf([...first, ...second]),
    version: first.length > 0 ? 1 : 2,
    lacking: CONTROLLERS.filter((controller) => !there.includes(controller)),
  }
}

function pathsOf(mounts: readonly string[][]): string[] {
  return mounts.map(([, path]) => path ?? '')
}

/** The group for the pods of this process's cluster. */
export function groupName(): string {
  return `penstock-e2e-${process.pid}`
}

/** Makes a group in every hierarchy. */
export async function makeGroup({ used, version }: Hierarchies, name: string): Promise<void> {
  for (const path of used) {
    const group = join(path, name)
    await mkdir(group, { recursive: true })
    // A new group of version 1 has no processors and no memory, and runs nothing until it is given some.
    if (version === 1 && (await readdir(group)).includes('cpuset.cpus'))
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        await writeFile(join(group, file), await readFile(join(path, file)))
  }
}

/** Removes groups of this process, and of those that are no more. @throws Error when one still has processes */
export async function removeGroups({ all }: Hierarchies): Promise<void> {
  for (const path of all) {
    for (const name of await readdir(path)) {
      const pid = NAME.exec(name)?.[1]
      if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))) await remove(join(path, name))
    }
  }
}

/** Every group below, deepest first. */
export async function groupsIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => groupsIn(join(path, entry.name)))
  return [...(await Promise.all(below)).flat(), path]
}

/** The kernel refuses while the last process of a group is on its way out. */
async function remove(path: string): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    let refusal: unknown
    for (const group of await groupsIn(path))
      await rmdir(group).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') refusal = error
      })
    if (refusal === undefined) return
    if (performance.now() > deadline) throw new Error(`${path} still has processes`, { cause: refusal })
    await delay(LOOK_EVERY_MS)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
