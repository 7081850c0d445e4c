/** What a program costs a machine, whatever else the machine does meanwhile. Linux only. */
import { linuxProcesses, type LinuxProcess } from '../sandbox/kubelet/usage.ts'

/** Seconds of processor time that a process and those that descend from it have had, as far as they run or were waited for. */
export async function processorSeconds(pid: number): Promise<number> {
  const all = await linuxProcesses()
  const secondsOf = (process: LinuxProcess): number =>
    all
      .filter(({ parent }) => parent === process.pid)
      .reduce((sum, child) => sum + secondsOf(child), process.cpuSeconds)
  const root = all.find((each) => each.pid === pid)
  return root === undefined ? NaN : secondsOf(root)
}
