/** Where what tests build and install for themselves is kept: a folder of this user's cache directory (XDG Base Directory Specification). */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** @param name of one of its folders */
export function cacheFolder(name: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const users = env.XDG_CACHE_HOME
  return join(users === undefined || users === '' ? join(homedir(), '.cache') : users, 'penstock', name)
}
