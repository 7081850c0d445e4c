import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { promisify } from 'node:util'

/** What a process group has used and holds. */
export interface GroupUsage {
  /** Since the group began, ended and waited-for children included. */
  readonly cpuSeconds: number
  readonly memoryBytes: number
}

/** Linux counts CPU time for `/proc` in hundredths of a second (USER_HZ) on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** Usage by process group id, of all processes that this machine shows. */
export async function groupUsage(): Promise<Map<number, GroupUsage>> {
  const processes = process.platform === 'linux' ? await linuxProcesses() : await fromPs()
  const groups = new Map<number, GroupUsage>()
  for (const { group, cpuSeconds, memoryBytes } of processes) {
    const sum = groups.get(group) ?? { cpuSeconds: 0, memoryBytes: 0 }
    groups.set(group, { cpuSeconds: sum.cpuSeconds + cpuSeconds, memoryBytes: sum.memoryBytes + memoryBytes })
  }
  return groups
}

interface ProcessUsage extends GroupUsage {
  readonly group: number
}

export interface LinuxProcess extends ProcessUsage {
  readonly pid: number
  readonly parent: number
}

export async function linuxProcesses(): Promise<LinuxProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const read = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)))
  return read.flatMap((stat) => (stat === undefined ? [] : [parseStat(stat)]))
}

/** proc_pid_stat(5); the fields after the name, which may hold anything, start with the state as number 3. */
export function parseStat(stat: string): LinuxProcess {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3] ?? 0)
  const ticks = field(14) + field(15) + field(16) + field(17)
  return {
    pid: parseInt(stat, 10),
    parent: field(4),
    group: field(5),
    cpuSeconds: ticks / TICKS_PER_SECOND,
    memoryBytes: field(24) * PAGE_BYTES,
  }
}

async function fromPs(): Promise<ProcessUsage[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pgid=,time=,rss='])
  return stdout.split('\n').flatMap((line) => {
    const [group, time, kilobytes] = line.trim().split(/\s+/)
    if (group === undefined || time === undefined) return []
    return [{ group: Number(group), cpuSeconds: secondsOf(time), memoryBytes: Number(kilobytes) * 1024 }]
  })
}

/** `[[dd-]hh:]mm:ss[.cc]` */
export function secondsOf(time: string): number {
  const [clock = '', days = '0'] = time.split('-').reverse()
  return Number(days) * 86_400 + clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
}

export interface PodUsage {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** The mean since the measurement before, at least a second ago. */
  readonly cpuMillicores: number
  readonly memoryBytes: number
}

/** What the meter wants to know of a pod. */
export interface MeteredPod {
  readonly pod: { readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string } }
  readonly runs: ReadonlyMap<string, { readonly pid: number }>
}

interface Sample {
  readonly atMs: number
  /** By process group: a restarted container begins a new count. */
  readonly cpuSeconds: ReadonlyMap<number, number>
}

const SHORTEST_SAMPLE_MS = 1000

/** Measures pods when it is asked, as a difference to the time before. */
export function createUsageMeter(pods: () => Iterable<MeteredPod>): { read(): Promise<PodUsage[]> } {
  let samples = new Map<string, Sample>()
  let latest: PodUsage[] = []
  let measuredAtMs = -Infinity

  async function read(): Promise<PodUsage[]> {
    const atMs = performance.now()
    if (atMs - measuredAtMs < SHORTEST_SAMPLE_MS) return latest
    measuredAtMs = atMs
    const groups = await groupUsage()
    const next = new Map<string, Sample>()
    const usages: PodUsage[] = []
    for (const { pod, runs } of pods()) {
      const { namespace, name, uid } = pod.metadata
      const used = [...runs.values()].flatMap(({ pid }) =>
        groups.has(pid) ? [[pid, groups.get(pid) as GroupUsage] as const] : [],
      )
      const cpuSeconds = new Map(used.map(([pid, usage]) => [pid, usage.cpuSeconds]))
      next.set(uid, { atMs, cpuSeconds })
      const before = samples.get(uid)
      if (before === undefined || used.length === 0) continue
      const memoryBytes = used.reduce((sum, [, usage]) => sum + usage.memoryBytes, 0)
      usages.push({ namespace, name, uid, memoryBytes, cpuMillicores: rateOf(before, { atMs, cpuSeconds }) })
    }
    samples = next
    latest = usages
    return usages
  }

  return { read }
}

function rateOf(before: Sample, after: Sample): number {
  let seconds = 0
  for (const [group, total] of after.cpuSeconds) seconds += Math.max(0, total - (before.cpuSeconds.get(group) ?? 0))
  return (seconds * 1_000_000) / (after.atMs - before.atMs)
}
