/** The images that the cluster runs, as archives: built once for each state of what they are made of, and kept. */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { makeBaseImages } from '../images/base-images.ts'
import { buildahOn, cacheDirectory, withStore, type Buildah } from '../images/buildah.ts'
import { buildImage, writeArchive, type Program } from '../images/images.ts'
import { architecture, missingRequirements } from '../images/requirements.ts'
import { PAUSE_IMAGE } from './node-files.ts'

const ROOT = join(import.meta.dirname, '../..')
const PROGRAMS: readonly Program[] = ['operator', 'server']
export const TAG = 'dev'
const NAME = /^archives-[0-9a-f]{12}$/
const KEPT = 3

/** What ends up in the images, and what makes them; see .dockerignore. */
const INPUTS = [
  ...['Dockerfile.*', '.dockerignore', '.npmrc', 'LICENSE', 'package.json', 'package-lock.json', 'scripts/bundle.ts'],
  ...['operator', 'server-image', 'protocol'].map((folder) => `${folder}/**/*`),
  ...['base-images', 'buildah', 'images'].map((name) => `test/images/${name}.ts`),
]

export interface ImagesOptions {
  /** The program of the image that holds the namespaces of pods. */
  readonly pause: string
  /** Told what is being built, as that takes a minute or two. */
  readonly say: (line: string) => void
}

/** Finds the archives, or builds them. @throws Error that says what building them needs */
export async function findImages({ pause, say }: ImagesOptions): Promise<string[]> {
  const directory = join(cacheDirectory(), `archives-${fingerprint(pause)}`)
  if (!existsSync(directory)) await makeImages(directory, pause, say)
  const now = new Date()
  await utimes(directory, now, now)
  await forgetOld()
  return (await readdir(directory)).sort().map((name) => join(directory, name))
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

/** They appear under their name only once all are whole. */
async function makeImages(directory: string, pause: string, say: (line: string) => void): Promise<void> {
  const missing = missingRequirements()
  if (missing.length > 0) throw new Error(['the images cannot be built: this machine lacks', ...missing].join('\n  '))
  say('building the images (a minute or two, again when the sources change) ...')
  const partial = `${directory}.${process.pid}`
  await mkdir(partial, { recursive: true })
  try {
    await withStore(async (store) => {
      const buildah = buildahOn(store)
      await writeArchive(buildah, await makePauseImage(buildah, pause), join(partial, 'pause.tar'))
      const bases = await makeBaseImages(buildah, say)
      for (const program of PROGRAMS) {
        const image = await buildImage(buildah, program, { bases, tag: TAG })
        await writeArchive(buildah, image, join(partial, `${program}.tar`))
      }
    })
    await rename(partial, directory)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

async function makePauseImage(buildah: Buildah, pause: string): Promise<string> {
  const container = await buildah(['from', '--pull-never', 'scratch'])
  await buildah(['copy', '--quiet', container, pause, '/pause'])
  await buildah(['config', '--entrypoint', '["/pause"]', '--user', '65535:65535', container])
  await buildah(['commit', '--quiet', '--rm', container, PAUSE_IMAGE])
  return PAUSE_IMAGE
}

/** Keeps what was used last. */
async function forgetOld(): Promise<void> {
  const names = (await readdir(cacheDirectory())).filter((name) => NAME.test(name))
  const dated = await Promise.all(
    names.map(async (name) => ({ name, usedAt: (await stat(join(cacheDirectory(), name))).mtimeMs })),
  )
  const old = dated.sort((a, b) => b.usedAt - a.usedAt).slice(KEPT)
  for (const { name } of old) await rm(join(cacheDirectory(), name), { recursive: true, force: true })
}
