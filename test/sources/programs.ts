/**
 * Servers and clients of other people that are built or installed into this user's cache, once: from Go modules (`mods/` fixes every version
 * and hash) and from npm (`azurite/`, by its lockfile). Folders of the cache are named by those files, so a change builds anew.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../cache.ts'

const run = promisify(execFile)
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

const GO_PACKAGES = {
  versitygw: 'github.com/versity/versitygw/cmd/versitygw',
  'fake-gcs-server': 'github.com/fsouza/fake-gcs-server',
  registry: 'github.com/distribution/distribution/v3/cmd/registry',
  oras: 'oras.land/oras/cmd/oras',
} as const

export type GoProgram = keyof typeof GO_PACKAGES

const MODULE = { folder: join(import.meta.dirname, 'mods'), files: ['go.mod', 'go.sum'] }
const AZURITE = { folder: join(import.meta.dirname, 'azurite'), files: ['package.json', 'package-lock.json'] }

/** Where the program is, or will be once `buildPrograms` is done. */
export function goProgram(program: GoProgram): string {
  return join(pinnedFolder('sources', MODULE), program)
}

/** The script that Node runs as Azure's blob service. */
export function azuriteScript(): string {
  return join(pinnedFolder('sources-azurite', AZURITE), 'node_modules/azurite/dist/src/blob/main.js')
}

/** Builds and installs what the cache lacks. @throws Error that says what to install */
export async function buildPrograms(say: (line: string) => void): Promise<void> {
  for (const program of Object.keys(GO_PACKAGES) as GoProgram[]) {
    if (!existsSync(goProgram(program))) await buildGo(program, say)
  }
  if (!existsSync(azuriteScript())) await installAzurite(say)
}

/** It appears under its name only once it is whole. */
async function buildGo(program: GoProgram, say: (line: string) => void): Promise<void> {
  const path = goProgram(program)
  const partial = `${path}.${process.pid}`
  say(`building ${program} into ${path}: a minute or more, once`)
  await mkdir(join(path, '..'), { recursive: true })
  const args = ['build', '-mod=readonly', '-trimpath', '-ldflags', '-s -w', '-o', partial, GO_PACKAGES[program]]
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' }
  try {
    await run('go', args, { cwd: MODULE.folder, env, maxBuffer: MAX_OUTPUT_BYTES })
    await rename(partial, path)
  } catch (error) {
    throw new Error(whyNot('go', 'install Go 1.26', error), { cause: error })
  } finally {
    await rm(partial, { force: true })
  }
}

async function installAzurite(say: (line: string) => void): Promise<void> {
  const folder = pinnedFolder('sources-azurite', AZURITE)
  const partial = `${folder}.${process.pid}`
  say(`installing Azurite into ${folder}`)
  await mkdir(partial, { recursive: true })
  try {
    for (const file of AZURITE.files) await copyFile(join(AZURITE.folder, file), join(partial, file))
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', args, { cwd: partial, maxBuffer: MAX_OUTPUT_BYTES })
    await rename(partial, folder)
  } catch (error) {
    throw new Error(whyNot('npm', 'install Node with npm', error), { cause: error })
  } finally {
    await rm(partial, { force: true, recursive: true })
  }
}

function whyNot(command: string, remedy: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ENOENT' ? `there is no "${command}" on this machine: ${remedy}` : message.slice(-4_000)
}

interface Pins {
  readonly folder: string
  readonly files: readonly string[]
}

function pinnedFolder(name: string, { folder, files }: Pins): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(join(folder, file)))
  return cacheFolder(`${name}-${hash.digest('hex').slice(0, 12)}`)
}
