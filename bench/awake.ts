/**
 * Two cores for a measurement, one for a server and one for its load, that do not halt. A halted core of a virtual machine is woken by its host, which
 * takes from a tenth of a millisecond to several where others want the host too; a server that is done sooner waits for its load more often, so
 * that such wake-ups would be most of what is measured of a fast server, and nothing of a slow one.
 */
import { spawn, spawnSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { CANNOT_RUN } from '../test/cannot-run.ts'
import { endNow, hasEnded } from './child.ts'

const CORES = { server: 0, load: 1 } as const
type Core = keyof typeof CORES
const TOOLS = ['wrk', 'taskset', 'chrt'] as const
/** A loop that cannot run has ended by then. */
const STARTED_MS = 300

/** The command that runs another one on a core. */
export function onCore(core: Core, ...command: readonly string[]): [string, ...string[]] {
  return ['taskset', '-c', String(CORES[core]), ...command]
}

/** Whether this machine can measure so; says what is missing, and what it is in, when it cannot. */
export function hasTools(): boolean {
  const missing = TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0)
  if (missing.length === 0) return true
  console.log(`SKIPPED: ${missing.join(', ')} not on this machine; apt-get install wrk util-linux`)
  process.exitCode = CANNOT_RUN
  return false
}

/**
 * Loops of the idle priority, which run when nothing else wants to, until they are disposed of or this process ends. A core that computes all the
 * while needs none, and must have none where it matters how soon others get it: at each turn of the loop the kernel gives the thread that
 * follows a whole slice, up to a tick of 4 ms, in which no other one is let in.
 *
 * @throws Error when they cannot run here
 */
export async function coresAwake(...cores: readonly Core[]): Promise<AsyncDisposable> {
  const loop = `while (process.ppid === ${process.pid}) { const until = Date.now() + 100; while (Date.now() < until); }`
  const loops = cores.map((core) => {
    const [program, ...args] = onCore(core, 'chrt', '--idle', '0', process.execPath, '--eval', loop)
    return spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  })
  await delay(STARTED_MS)
  if (loops.some(hasEnded)) {
    await Promise.all(loops.map(endNow))
    throw new Error(`the ${cores.join(' and the ')} core cannot be kept awake here`)
  }
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(loops.map(endNow))
    },
  }
}

/** Keeps this process, which is a load or asks beside one, off the server's core. */
export function onLoadCore(): void {
  const { status, stderr } = spawnSync('taskset', ['-acp', String(CORES.load), String(process.pid)])
  if (status !== 0) throw new Error(`this process cannot be kept on core ${CORES.load}: ${String(stderr)}`)
}
