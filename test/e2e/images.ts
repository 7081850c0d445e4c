/** The images that the cluster runs, as archives: built once for each state of what they are made of, and kept. */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { useCached } from '../cache.ts'
import { makeBaseImages } from '../images/base-images.ts'
import { buildahOn, cacheDirectory, type Buildah } from '../images/buildah.ts'
import { buildImage, writeArchive, type Program } from '../images/images.ts'
import { architecture } from '../images/requirements.ts'
import { PAUSE_IMAGE } from './node-files.ts'

const ROOT = join(import.meta.dirname, '../..')
const PROGRAMS: readonly Program[] = ['operator', 'server']
export const TAG = 'dev'
const KIND = /^archives-[0-9a-f]{12}/
const KEPT = 3

/** What ends up in the images, and what makes them; see .dockerignore. */
const INPUTS = [
  ...['Dockerfile.*', '.dockerignore', '.npmrc', 'LICENSE', 'package.json', 'package-lock.json'],
  ...['bundle', 'program-bundle'].map((name) => `scripts/${name}.ts`),
  ...['operator', 'server-image', 'protocol'].map((folder) => `${folder}/**/*`),
  ...['base-images', 'buildah', 'images'].map((name) => `test/images/${name}.ts`),
]

/** Finds the archives of images, with `pause` as the program that holds the namespaces of pods. @returns nothing before they are built */
export async function findImages(pause: string): Promise<string[] | undefined> {
  const directory = directoryOf(pause)
  if (!existsSync(directory)) return undefined
  await useCached(directory, KIND, KEPT)
  return (await readdir(directory)).sort().map((name) => join(directory, name))
}

function directoryOf(pause: string): string {
  return join(cacheDirectory(), `archives-${fingerprint(pause)}`)
}

/** Twelve hexadecimal digits. The folder of `pause` is named by what it is made of. */
function fingerprint(pause: string): string {
  const hash = createHash('sha256').update(`${architecture()}\0${pause}\0`)
  const files = INPUTS.flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  for (const file of files.filter((each) => !/\.test\.ts$|\/testdata\//.test(each)).sort()) {
    const path = join(ROOT, file)
    if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 12)
}

/** Builds them in an empty directory of the same file system. They appear under their name only once all are whole. */
export async function makeImages(pause: string, store: string): Promise<void> {
  const partial = join(store, 'archives')
  await mkdir(partial)
  const buildah = buildahOn(store)
  await writeArchive(buildah, await makePauseImage(buildah, pause), join(partial, 'pause.tar'))
  const bases = await makeBaseImages(buildah, console.error)
  for (const program of PROGRAMS) {
    const image = await buildImage(buildah, program, { bases, tag: TAG })
    await writeArchive(buildah, image, join(partial, `${program}.tar`))
  }
  await rename(partial, directoryOf(pause))
}

async function makePauseImage(buildah: Buildah, pause: string): Promise<string> {
  const container = await buildah(['from', '--pull-never', 'scratch'])
  await buildah(['copy', '--quiet', container, pause, '/pause'])
  await buildah(['config', '--entrypoint', '["/pause"]', '--user', '65535:65535', container])
  await buildah(['commit', '--quiet', '--rm', container, PAUSE_IMAGE])
  return PAUSE_IMAGE
}
