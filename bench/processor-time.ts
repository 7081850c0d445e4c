/** What a program costs a machine, whatever else the machine does meanwhile. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: Linux counts in hundredths of a second, on every platform that Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100
/** Places in /proc/PID/stat behind the name of the command, of its fields 4, 14 and 15 (proc(5)). */
const [PARENT, USER, SYSTEM] = [1, 11, 12] as const

interface Process {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

/** Seconds of processor time that a process and those that descend from it, as far as they run still, have had. */
export function processorSeconds(pid: number): number {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? processOf(Number(name)) : []))
  const ticksOf = (process: Process): number =>
    all.filter(({ parent }) => parent === process.pid).reduce((sum, child) => sum + ticksOf(child), process.ticks)
  return all.filter((each) => each.pid === pid).reduce((sum, each) => sum + ticksOf(each), 0) / TICKS_PER_SECOND
}

/** Nothing when it has ended meanwhile. */
function processOf(pid: number): Process[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return [{ pid, parent: Number(fields[PARENT]), ticks: Number(fields[USER]) + Number(fields[SYSTEM]) }]
  } catch {
    return []
  }
}
