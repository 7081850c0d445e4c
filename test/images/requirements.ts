import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const PROGRAMS = ['buildah', 'debootstrap', 'unshare', 'setpriv', 'chroot', 'mount', 'tar', 'npm']

/** Debian's name of this machine's architecture, which is also that of container platforms. */
export function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch
}

/** The pinned Node that the images are tested with. */
export function pinnedNode(): string {
  return join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
}

/** The folder of the npm that this machine has. */
export function npmDirectory(): string {
  return join(dirname(realpathSync(process.env.npm_execpath ?? find('npm') ?? 'npm')), '..')
}

/** What this machine lacks for building images, each with its remedy; empty when it lacks nothing. */
export function missingRequirements(): string[] {
  if (process.platform !== 'linux') return ['Linux: run it there']
  const missing = PROGRAMS.filter((program) => find(program) === undefined).map(
    (program) => `${program}: apt-get install -y ${program}`,
  )
  if (process.getuid?.() !== 0) missing.push('root: debootstrap and the chroot of a build need it; run it with sudo')
  if (!existsSync(pinnedNode())) missing.push(`the pinned Node for linux ${process.arch}: npm ci --ignore-scripts`)
  return missing
}

function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
