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
import { CannotRunError, isNoProgram } from '../cannot-run.ts'
import { buildGoProgram } from '../go-build.ts'

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

/** Builds and installs what the cache lacks. @throws CannotRunError that says what to install @throws Error with what a build said */
export async function buildPrograms(say: (line: string) => void): Promise<void> {
  for (const program of Object.keys(GO_PACKAGES) as GoProgram[]) {
    const path = goProgram(program)
    if (existsSync(path)) continue
    say(`building ${program} into ${path}: a minute or more, once`)
    await buildGoProgram({ module: MODULE.folder, goPackage: GO_PACKAGES[program] }, path)
  }
  if (!existsSync(azuriteScript())) await installAzurite(say)
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
    if (isNoProgram(error)) throw new CannotRunError('npm: install Node with npm')
    throw new Error((error as Error).message.slice(-4_000), { cause: error })
  } finally {
    await rm(partial, { force: true, recursive: true })
  }
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
