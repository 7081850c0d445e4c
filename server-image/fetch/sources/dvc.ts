/**
 * DVC: `dvc+` before the URL of an object in a DVC remote, which is named by the MD5 of its content: what `dvc get --show-url` prints.
 * `dvc+REMOTE?dvc=POINTER[&file=PATH]` finds the object by a `.dvc` or `dvc.lock` file, for example one in Git at a tag:
 * `dvc+s3://bucket/store?dvc=https://git.example.com/raw/v3/dvc.lock&file=out/model.onnx`, with PATH as in the repository, relative to
 * that file's folder. Both resolve to the first form.
 */
import { createHash } from 'node:crypto'
import { load as loadYaml } from 'js-yaml'
import { asJson, readTextAt } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { LocateContext, Location } from '../location.ts'
import { percentDecoded } from '../percent.ts'
import { redactUri } from '../redact.ts'
import { pickOnnx } from './object-path.ts'

/** What DVC tracks: a file, or a folder, whose MD5 ends in `.dir` and is that of a list of its files. */
interface Output {
  readonly md5: string
  readonly path: string
  /** DVC 3 names how it hashes; before that text files were hashed with other line ends, in another folder. */
  readonly hash?: unknown
}

interface TrackedFile {
  readonly path: string
  readonly url: string
}

export async function locateDvc(uri: string, context: LocateContext): Promise<Location> {
  const inner = uri.slice('dvc+'.length)
  const [, remote, pointer, file] = /^(.*?)\?dvc=(.+?)(?:&file=([^&]+))?$/.exec(inner) ?? []
  if (remote === undefined || pointer === undefined) return stored(inner, context)
  const wanted = file === undefined ? undefined : percentDecoded(file)
  const outputs = outputsIn(await readTextAt(context, await context.locate(pointer)), pointer)
  const store = remote.replace(/\/$/, '')
  const listed = candidates(outputs, wanted)
  const files = (await Promise.all(listed.map((output) => filesOf(output, store, context)))).flat()
  const [only] = files
  if (wanted === undefined && outputs.length === 1 && files.length === 1 && only !== undefined) {
    return stored(only.url, context)
  }
  const paths = files.map(({ path }) => path)
  const path = pickOnnx(paths, wanted, `What ${redactUri(pointer)} lists (&file=PATH takes one)`)
  return stored(files.find((each) => each.path === path)?.url ?? '', context)
}

/** Outputs that may hold the model. Lists of folders can be long, so without need they are not read. */
function candidates(outputs: readonly Output[], wanted: string | undefined): readonly Output[] {
  if (wanted !== undefined) {
    const within = outputs.filter(({ path }) => wanted === path || wanted.startsWith(`${path}/`))
    return within.length === 0 ? outputs.filter((output) => !isFolder(output)) : within
  }
  const models = outputs.filter((output) => !isFolder(output) && /\.onnx$/i.test(output.path))
  return models.length === 0 ? outputs : models
}

function isFolder({ md5 }: Output): boolean {
  return md5.endsWith('.dir')
}

async function filesOf(output: Output, store: string, context: LocateContext): Promise<TrackedFile[]> {
  const folder = output.hash === 'md5' ? `${store}/files/md5` : store
  if (!isFolder(output)) return [{ path: output.path, url: objectAt(folder, output.md5) }]
  const listing = await directoryAt(objectAt(folder, output.md5), output.md5, context)
  return listing.map(({ md5, relpath }) => ({ path: `${output.path}/${relpath}`, url: objectAt(folder, md5) }))
}

async function stored(url: string, context: LocateContext): Promise<Location> {
  const md5 = /\/([0-9a-f]{2})\/([0-9a-f]{30})$/i.exec(url)?.slice(1).join('').toLowerCase()
  if (md5 === undefined) {
    throw new FetchError(
      'InvalidArgument',
      `"dvc+${redactUri(url)}" does not end in an MD5 (.../ab/cdef...); write dvc+ before what "dvc get --show-url" prints, or add ?dvc= and the URL of the .dvc or dvc.lock file.`,
    )
  }
  return { ...(await context.locate(url)), uri: `dvc+${url}`, digests: { md5 } }
}

function objectAt(folder: string, md5: string): string {
  if (!/^[0-9a-f]{32}(\.dir)?$/.test(md5)) {
    throw new FetchError('InvalidArgument', `"${md5.slice(0, 40)}" is no MD5; check the .dvc or dvc.lock file.`)
  }
  return `${folder}/${md5.slice(0, 2)}/${md5.slice(2)}`
}

/** `outs` of a `.dvc` file, or of all stages of a `dvc.lock`: https://dvc.org/doc/user-guide/project-structure */
function outputsIn(text: string, pointer: string): readonly Output[] {
  const outs = rawOutputs(text)
  if (outs.length > 0 && outs.every(isOutput)) return outs
  throw new FetchError(
    'InvalidArgument',
    `${redactUri(pointer)} is no .dvc or dvc.lock file whose outputs have an md5; give the raw URL of the file that "dvc add" or "dvc repro" wrote.`,
  )
}

function rawOutputs(text: string): readonly unknown[] {
  try {
    const { outs, stages } = (loadYaml(text) ?? {}) as { outs?: readonly unknown[]; stages?: Record<string, unknown> }
    if (outs !== undefined) return outs
    return Object.values(stages ?? {}).flatMap((stage) => (stage as { outs?: readonly unknown[] } | null)?.outs ?? [])
  } catch {
    return []
  }
}

function isOutput(value: unknown): value is Output {
  const { md5, path } = (value ?? {}) as Partial<Output>
  return typeof md5 === 'string' && typeof path === 'string'
}

interface Listed {
  readonly md5: string
  readonly relpath: string
}

/** The list is held against its MD5 as well, since it names what is taken. */
async function directoryAt(url: string, md5: string, context: LocateContext): Promise<readonly Listed[]> {
  const location = await context.locate(url)
  const text = await readTextAt(context, location)
  if (`${createHash('md5').update(text).digest('hex')}.dir` !== md5) {
    throw new FetchError(
      'DigestMismatch',
      `${redactUri(url)} is not the list of files that its name says; push the folder again (dvc push).`,
    )
  }
  const shown = location.kind === 'http' ? location.url : new URL(`file://${location.path}`)
  return asJson(Buffer.from(text), shown) as readonly Listed[]
}
