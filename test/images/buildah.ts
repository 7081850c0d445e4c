import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../cache.ts'

const run = promisify(execFile)
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024
const ERROR_LINES = 30

/** Where base images are kept, and where images are built. */
export function cacheDirectory(): string {
  return cacheFolder('images')
}

/** Gives a directory for images of this run alone, and removes it in the end; also those of runs that were killed. */
export async function withStore<T>(use: (store: string) => Promise<T>): Promise<T> {
  const cache = cacheDirectory()
  await mkdir(cache, { recursive: true })
  for (const name of await readdir(cache)) {
    const pid = /^store-(\d+)-/.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(cache, name), { recursive: true, force: true })
  }
  const store = await mkdtemp(join(cache, `store-${process.pid}-`))
  try {
    return await use(store)
  } finally {
    await rm(store, { recursive: true, force: true })
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

/** Runs `buildah` on the images of one store: its trimmed standard output. @throws Error with the end of what it said */
export type Buildah = (args: readonly string[], cwd?: string) => Promise<string>

export function buildahOn(store: string): Buildah {
  const own = ['--root', join(store, 'images'), '--runroot', join(store, 'run'), '--storage-driver', 'overlay']
  return async (args, cwd) => {
    try {
      const { stdout } = await run('buildah', [...own, ...args], { cwd, maxBuffer: MAX_OUTPUT_BYTES })
      return stdout.trim()
    } catch (error) {
      const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string }
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-ERROR_LINES).join('\n')
      throw new Error(`buildah ${args[0]} failed: ${said || message}`, { cause: error })
    }
  }
}
