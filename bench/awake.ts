/**
 * Keeps the first two cores from halting. A halted core of a virtual machine is woken by its host, which takes from a tenth of a millisecond to
 * several where others want the host too; a server that is done sooner waits for its load more often, so that such a wake-up would be most
 * of what is measured of a fast server, and nothing of a slow one. The loops have the idle priority: they run when nothing else wants to.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const CORES = [0, 1] as const

/** @returns what ends the loops; they end with this process too */
export function coresAwake(): AsyncDisposable {
  const loops = CORES.map((core) =>
    spawn('taskset', ['-c', String(core), 'chrt', '--idle', '0', process.execPath, '--eval', LOOP], {
      stdio: 'ignore',
    }),
  )
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(loops.map(ended))
    },
  }
}

/** Ends when the process that started it does. */
const LOOP = `const parent = process.ppid; while (process.ppid === parent) { const until = Date.now() + 100; while (Date.now() < until); }`

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
