/**
 * DVC: `dvc+` before the URL of an object in a DVC remote, which is named by the MD5 of its content: what `dvc get --show-url` prints.
 * `dvc+REMOTE?dvc=POINTER[&file=PATH]` finds the object by a `.dvc` or `dvc.lock` file, for example one in Git at a tag:
 * `dvc+s3://bucket/store?dvc=https://git.example.com/raw/v3/dvc.lock&file=out/model.onnx`, with PATH as in the repository, relative to
 * that file's folder. Both resolve to the first form; a model that needs other files of its folder resolves to the list of the folder,
 * `dvc+REMOTE/files/md5/ab/cd....dir?file=PATH`, with PATH in that folder.
 */
import { createHash } from 'node:crypto'
import { load as loadYaml } from 'js-yaml'
import { asJson, readTextAt } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Beside, LocateContext, Location } from '../location.ts'
import { percentDecoded } from '../percent.ts'
import { redactUri } from '../redact.ts'
import { pathBeside, pickOnnx } from './object-path.ts'

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
  /** Of a file in a tracked folder. */
  readonly folder?: TrackedFolder
}

interface TrackedFolder {
  /** Of the list of its files, named by its MD5. */
  readonly url: string
  /** Their paths are as in the folder. */
  readonly files: readonly TrackedFile[]
}

export async function locateDvc(uri: string, context: LocateContext): Promise<Location> {
  const inner = uri.slice('dvc+'.length)
  const [, list, member] = /^(.*\.dir)\?file=([^&]+)$/.exec(inner) ?? []
  if (list !== undefined && member !== undefined) return inFolder(list, percentDecoded(member), context)
  const [, remote, pointer, file] = /^(.*?)\?dvc=(.+?)(?:&file=([^&]+))?$/.exec(inner) ?? []
  if (remote === undefined || pointer === undefined) return stored(inner, context)
  const wanted = file === undefined ? undefined : percentDecoded(file)
  const outputs = outputsIn(await readTextAt(context, await context.locate(pointer)), pointer)
  const store = remote.replace(/\/$/, '')
  const listed = candidates(outputs, wanted)
  const filesIn = async (some: readonly Output[]) =>
    (await Promise.all(some.map((output) => filesOf(output, store, context)))).flat()
  const files = await filesIn(listed)
  const [only] = files
  const where = `What ${redactUri(pointer)} lists (&file=PATH takes one)`
  const isOnly = wanted === undefined && outputs.length === 1 && files.length === 1
  const model = isOnly && only !== undefined ? only : picked(files, wanted, where)
  if (model.folder !== undefined) return storedInFolder(model.folder, model, context)
  const beside: Beside = async (relative) => {
    const path = pathBeside(model.path, relative)
    return stored(picked(await filesIn(candidates(outputs, path)), path, where).url, context)
  }
  return { ...(await stored(model.url, context)), beside, uriForNeighbours: uri }
}

/** A file of a tracked folder, whose list is found by its MD5 alone. */
async function inFolder(url: string, path: string, context: LocateContext): Promise<Location> {
  const [, store, md5] = /^(.*)\/([0-9a-f]{2}\/[0-9a-f]{30}\.dir)$/.exec(url) ?? []
  if (store === undefined || md5 === undefined) throw noObject(url)
  const folder = await folderAt(url, store, md5.replace('/', ''), context)
  return storedInFolder(folder, picked(folder.files, path, `The folder ${redactUri(url)}`), context)
}

async function storedInFolder(folder: TrackedFolder, file: TrackedFile, context: LocateContext): Promise<Location> {
  const path = folder.files.find(({ url }) => url === file.url)?.path ?? ''
  const beside: Beside = (relative) => {
    const wanted = pathBeside(path, relative)
    return stored(picked(folder.files, wanted, `The folder ${redactUri(folder.url)}`).url, context)
  }
  const uriForNeighbours = `dvc+${folder.url}?file=${path.split('/').map(encodeURIComponent).join('/')}`
  return { ...(await stored(file.url, context)), beside, uriForNeighbours }
}

function picked(files: readonly TrackedFile[], wanted: string | undefined, where: string): TrackedFile {
  const paths = files.map(({ path }) => path)
  const path = pickOnnx(paths, wanted, where)
  return files.find((each) => each.path === path) as TrackedFile
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
  const tracked = await folderAt(objectAt(folder, output.md5), folder, output.md5, context)
  return tracked.files.map(({ path, url }) => ({ path: `${output.path}/${path}`, url, folder: tracked }))
}

/** @param store where the objects are that the list names */
async function folderAt(url: string, store: string, md5: string, context: LocateContext): Promise<TrackedFolder> {
  const listing = await directoryAt(url, md5, context)
  return { url, files: listing.map((listed) => ({ path: listed.relpath, url: objectAt(store, listed.md5) })) }
}

async function stored(url: string, context: LocateContext): Promise<Location> {
  const md5 = /\/([0-9a-f]{2})\/([0-9a-f]{30})$/i.exec(url)?.slice(1).join('').toLowerCase()
  if (md5 === undefined) throw noObject(url)
  // What lies beside an object has nothing to do with it.
  const { beside: _none, ...location } = await context.locate(url)
  return { ...location, uri: `dvc+${url}`, digests: { md5 } }
}

function noObject(url: string): FetchError {
  return new FetchError(
    'InvalidArgument',
    `"dvc+${redactUri(url)}" does not end in an MD5 (.../ab/cdef...); write dvc+ before what "dvc get --show-url" prints, or add ?dvc= and the URL of the .dvc or dvc.lock file.`,
  )
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
