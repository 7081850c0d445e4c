/** Where what tests build and install for themselves is kept, and for how long: a folder of this user's cache directory (XDG Base Directory Specification). */
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** @param name of one of its folders */
export function cacheFolder(name: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const users = env.XDG_CACHE_HOME
  return join(users === undefined || users === '' ? join(homedir(), '.cache') : users, 'penstock', name)
}

/** Marks a folder as used, and of its neighbours of the same kind keeps those that were used last. None is seen half gone under its own name. */
export async function useCached(folder: string, kind: RegExp, kept: number): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now)
  const directory = dirname(folder)
  const names = (await readdir(directory)).filter((name) => kind.test(name))
  const dated = await Promise.all(names.map(async (name) => ({ name, usedAt: await usedAt(join(directory, name)) })))
  const old = dated.sort((a, b) => b.usedAt - a.usedAt).slice(kept)
  for (const { name } of old) await removeAtOnce(join(directory, name))
}

/** Never, for what another run has removed meanwhile. */
const usedAt = (path: string) => stat(path).then(({ mtimeMs }) => mtimeMs, ifAbsent(0))

async function removeAtOnce(path: string): Promise<void> {
  const doomed = `${path}.${process.pid}`
  await rename(path, doomed).catch(ifAbsent(undefined))
  await rm(doomed, { recursive: true, force: true })
}

const ifAbsent =
  <T>(otherwise: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return otherwise
    throw error
  }
