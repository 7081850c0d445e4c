/** `npm run images -- --out=DIR`: builds both images, and writes them as archives that containerd, skopeo and podman load. */
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeBaseImages } from './base-images.ts'
import { buildahOn, withStore } from './buildah.ts'
import { buildImage, writeArchive, type Program } from './images.ts'
import { missingRequirements } from './requirements.ts'

const PROGRAMS: readonly Program[] = ['operator', 'server']
const MEGABYTE = 1e6

async function writeArchives(out: string, tag: string): Promise<void> {
  await mkdir(out, { recursive: true })
  await withStore(async (store) => {
    const buildah = buildahOn(store)
    const bases = await makeBaseImages(buildah, console.error)
    for (const program of PROGRAMS) {
      const image = await buildImage(buildah, program, { bases, tag })
      const file = join(out, `${program}.tar`)
      await writeArchive(buildah, image, file)
      console.log(`${file}  ${image}  ${((await stat(file)).size / MEGABYTE).toFixed(1)} MB`)
    }
  })
}

const missing = missingRequirements()
if (missing.length > 0) {
  console.error(['This machine cannot build images; it lacks', ...missing.map((each) => `  ${each}`)].join('\n'))
  process.exitCode = 1
} else {
  const { values } = parseArgs({
    options: { out: { type: 'string', default: 'dist/images' }, tag: { type: 'string', default: 'dev' } },
  })
  await writeArchives(values.out, values.tag)
}
