/**
 * The two images that the Dockerfiles start from, made of Debian's packages and the pinned Node, as no registry may be in reach:
 * one to build in, with a shell and npm, and one to run in, with nothing but the C and C++ libraries that Node needs.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, type Buildah } from './buildah.ts'
import { architecture, npmDirectory, pinnedNode } from './requirements.ts'

const run = promisify(execFile)
const SUITE = 'trixie'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** Node's libraries are linked against these. */
const RUNTIME_PACKAGES = ['base-files', 'libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1']
const RUNTIME_FILES = ['etc/passwd', 'etc/group', 'etc/nsswitch.conf']
const UNWANTED = /^\/usr\/share\/(doc|man|info|locale|lintian|gcc|gdb|base-files|bash-completion)\b|\/gconv\b/
const EMPTIED = [
  ...['doc', 'man', 'info', 'locale', 'lintian', 'bash-completion'].map((each) => `usr/share/${each}`),
  ...['var/lib/apt/lists', 'var/cache/apt', 'var/log', 'dev'],
]

export interface BaseImages {
  readonly build: string
  readonly runtime: string
}

/** Makes both in the store; what Debian gives comes from the cache after the first time. */
export async function makeBaseImages(buildah: Buildah, say: (line: string) => void): Promise<BaseImages> {
  const roots = await debianRoots(say)
  const runtime = await makeImage(buildah, 'localhost/penstock-runtime-base', async (container) => {
    await buildah(['add', '--quiet', container, roots.runtime, '/'])
    await buildah(['copy', '--quiet', container, pinnedNode(), '/usr/local/bin/node'])
  })
  const build = await makeImage(buildah, 'localhost/penstock-build-base', async (container) => {
    await buildah(['add', '--quiet', container, roots.build, '/'])
    await buildah(['copy', '--quiet', container, pinnedNode(), '/usr/local/bin/node'])
    await buildah(['copy', '--quiet', container, npmDirectory(), '/usr/local/lib/node_modules/npm'])
    const link = ['ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/local/bin/npm']
    await buildah(['run', '--isolation', 'chroot', container, '--', ...link])
    await shareNetworkSettings(buildah, container)
  })
  return { build, runtime }
}

async function makeImage(buildah: Buildah, name: string, fill: (container: string) => Promise<void>): Promise<string> {
  const container = await buildah(['from', '--pull-never', 'scratch'])
  await fill(container)
  await buildah(['config', '--env', `PATH=${PATH}`, '--cmd', 'node', container])
  await buildah(['commit', '--quiet', '--rm', container, name])
  return name
}

/** npm reaches its registry from inside as it does from outside. */
async function shareNetworkSettings(buildah: Buildah, container: string): Promise<void> {
  const { NODE_EXTRA_CA_CERTS: certificates, npm_config_registry: registry } = process.env
  if (certificates !== undefined && existsSync(certificates)) {
    await buildah(['copy', '--quiet', container, certificates, CERTIFICATES])
    await buildah(['config', '--env', `NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, container])
  }
  if (registry !== undefined) await buildah(['config', '--env', `npm_config_registry=${registry}`, container])
}

/** Archives of the two file systems, without Node. */
async function debianRoots(say: (line: string) => void): Promise<BaseImages> {
  const name = (kind: string) => join(cacheDirectory(), `${SUITE}-${architecture()}-${kind}.tar`)
  const roots = { build: name('build'), runtime: name('runtime') }
  if (existsSync(roots.build) && existsSync(roots.runtime)) return roots
  say(`making a Debian ${SUITE} base (once, about a minute) ...`)
  const work = join(cacheDirectory(), `debootstrap-${process.pid}`)
  const root = join(work, 'root')
  await mkdir(work, { recursive: true })
  try {
    const include = `--include=${RUNTIME_PACKAGES.join(',')}`
    await run('debootstrap', ['--variant=minbase', `--arch=${architecture()}`, include, SUITE, root])
    await archive(root, await filesOf(root), join(work, 'runtime.tar'))
    for (const folder of EMPTIED) await run('find', [join(root, folder), '-mindepth', '1', '-delete'])
    await archive(root, ['.'], join(work, 'build.tar'))
    await rename(join(work, 'runtime.tar'), roots.runtime)
    await rename(join(work, 'build.tar'), roots.build)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return roots
}

/** What the packages of the runtime installed, by the lists that dpkg keeps. */
async function filesOf(root: string): Promise<string[]> {
  const lists = RUNTIME_PACKAGES.map(async (name) => {
    const info = join(root, 'var/lib/dpkg/info')
    const file = [join(info, `${name}.list`), join(info, `${name}:${architecture()}.list`)].find(existsSync)
    if (file === undefined) throw new Error(`debootstrap did not install ${name}`)
    return (await readFile(file, 'utf8')).trim().split('\n')
  })
  const files = new Set((await Promise.all(lists)).flat().filter((file) => file !== '/.' && !UNWANTED.test(file)))
  return [...[...files].sort().map((file) => file.slice(1)), ...RUNTIME_FILES]
}

async function archive(root: string, files: readonly string[], to: string): Promise<void> {
  const list = `${to}.list`
  await writeFile(list, files.join('\n'))
  const recursion = files.length === 1 ? [] : ['--no-recursion']
  await run('tar', ['-C', root, '--numeric-owner', ...recursion, '-cf', to, '-T', list])
}
