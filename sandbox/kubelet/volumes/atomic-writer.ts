import { chmod, mkdir, mkdtemp, readFile, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Payload } from './payload.ts'

const DATA = '..data'

/**
 * Makes a volume's files be exactly these, all at once: they are written to a new directory, and the symbolic link `..data` is moved
 * to it by one rename. The visible names are links through `..data`, so a reader sees all old files or all new ones, and a
 * watcher of the directory sees one change (as kubelets do it). Answers whether anything changed.
 */
export async function writeAtomically(directory: string, payload: Payload): Promise<boolean> {
  await mkdir(directory, { recursive: true })
  const before = await readlink(join(directory, DATA)).catch(() => undefined)
  if (before !== undefined && (await isSame(join(directory, before), payload))) return false
  const fresh = await mkdtemp(join(directory, `..${new Date().toISOString().replaceAll(/[:.]/g, '_')}.`))
  await chmod(fresh, 0o755)
  for (const [path, { content, mode }] of payload) {
    const file = join(fresh, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    await chmod(file, mode)
  }
  const pending = join(directory, `${DATA}_tmp`)
  await rm(pending, { force: true })
  await symlink(fresh.slice(directory.length + 1), pending)
  await rename(pending, join(directory, DATA))
  await linkNames(directory, new Set([...payload.keys()].map(topOf)))
  if (before !== undefined) await rm(join(directory, before), { recursive: true, force: true })
  return true
}

async function linkNames(directory: string, wanted: ReadonlySet<string>): Promise<void> {
  const present = (await readdir(directory)).filter((name) => !name.startsWith('..'))
  for (const name of wanted) if (!present.includes(name)) await symlink(join(DATA, name), join(directory, name))
  for (const name of present) if (!wanted.has(name)) await rm(join(directory, name), { force: true })
}

function topOf(path: string): string {
  return path.split('/')[0] ?? path
}

async function isSame(directory: string, payload: Payload): Promise<boolean> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  if (entries.filter((entry) => entry.isFile()).length !== payload.size) return false
  for (const [path, { content }] of payload) {
    const existing = await readFile(join(directory, path)).catch(() => undefined)
    if (existing === undefined || !existing.equals(content)) return false
  }
  return true
}
