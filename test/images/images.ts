import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BaseImages } from './base-images.ts'
import type { Buildah } from './buildah.ts'
import { architecture } from './requirements.ts'

const ROOT = join(import.meta.dirname, '../..')

export type Program = 'server' | 'operator'

export interface BuildOptions {
  readonly bases: BaseImages
  /** Of the image; this machine's when left out. */
  readonly arch?: string
  readonly tag: string
}

/** Builds an image from its Dockerfile. @returns its name */
export async function buildImage(buildah: Buildah, program: Program, options: BuildOptions): Promise<string> {
  const { bases, arch = architecture(), tag } = options
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const name = `localhost/penstock/${program}:${tag}`
  const values = {
    BUILD_IMAGE: bases.build,
    BASE_IMAGE: bases.runtime,
    VERSION: version,
    // Builders know it by themselves, but for old versions of buildah.
    BUILDPLATFORM: `linux/${architecture()}`,
  }
  // The `docker` format keeps HEALTHCHECK, which OCI has no field for; layers are kept so that both images share `npm ci`.
  const how = ['--isolation', 'chroot', '--layers', '--format', 'docker', '--pull-never', '--platform', `linux/${arch}`]
  // By itself it allows 1,024 open files, of which `npm ci` needs more where the disk is slow (EMFILE).
  how.push('--ulimit', 'nofile=16384:16384')
  const buildArgs = Object.entries(values).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`])
  await buildah(['build', ...how, ...buildArgs, '--file', `Dockerfile.${program}`, '--tag', name, '.'], ROOT)
  return name
}

/** Writes an archive that `ctr images import` and `skopeo` read; the name of the image is in it. */
export async function writeArchive(buildah: Buildah, image: string, file: string): Promise<void> {
  await rm(file, { force: true })
  await buildah(['push', '--quiet', '--format', 'oci', image, `oci-archive:${file}:${image}`])
}

/** What a node downloads for the image: its compressed layers, in bytes. */
export async function downloadBytes(
  buildah: Buildah,
  image: string,
  { store, compression }: { readonly store: string; readonly compression: 'gzip' | 'zstd' },
): Promise<number> {
  const directory = await mkdtemp(join(store, 'layers-'))
  const how = ['--quiet', '--format', 'oci', '--compression-format', compression]
  await buildah(['push', ...how, image, `dir:${directory}`])
  const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as Manifest
  await rm(directory, { recursive: true })
  return manifest.layers.reduce((sum, { size }) => sum + size, 0)
}

interface Manifest {
  readonly layers: readonly { readonly size: number }[]
}
