/**
 * DVC: `dvc+` before the URL of an object in a DVC remote, which is named by the MD5 of its content: what `dvc get --show-url` prints.
 * `dvc+REMOTE?dvc=POINTER` reads the MD5 from a `.dvc` file first, for example one in Git at a tag:
 * `dvc+s3://bucket/store?dvc=https://git.example.com/raw/v3/model.onnx.dvc`. Both resolve to the first form.
 */
import { load as loadYaml } from 'js-yaml'
import { asJson, readTextAt } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { LocateContext, Location } from '../location.ts'
import { redactUri } from '../redact.ts'
import { pickOnnx } from './object-path.ts'

interface Output {
  readonly md5?: unknown
  readonly path?: unknown
  /** DVC 3 names how it hashes; before that text files were hashed with other line ends, in another folder. */
  readonly hash?: unknown
}

export async function locateDvc(uri: string, context: LocateContext): Promise<Location> {
  const inner = uri.slice('dvc+'.length)
  const [remote = '', pointer] = inner.split('?dvc=')
  if (pointer === undefined) return stored(remote, context)
  const store = remote.replace(/\/$/, '')
  const output = outputIn(await readTextAt(context, await context.locate(pointer)), pointer)
  const md5 = String(output.md5)
  const folder = output.hash === 'md5' ? `${store}/files/md5` : store
  if (!md5.endsWith('.dir')) return stored(objectAt(folder, md5), context)
  const listing = objectAt(folder, md5)
  const files = await directoryAt(listing, context)
  const name = pickOnnx(
    files.map(({ relpath }) => relpath),
    undefined,
    `The folder of ${redactUri(pointer)}`,
  )
  return stored(objectAt(folder, files.find(({ relpath }) => relpath === name)?.md5 ?? ''), context)
}

async function stored(url: string, context: LocateContext): Promise<Location> {
  const md5 = /\/([0-9a-f]{2})\/([0-9a-f]{30})$/i.exec(url)?.slice(1).join('').toLowerCase()
  if (md5 === undefined) {
    throw new FetchError(
      'InvalidArgument',
      `"dvc+${redactUri(url)}" does not end in an MD5 (.../ab/cdef...); write dvc+ before what "dvc get --show-url" prints, or add ?dvc= and the URL of the .dvc file.`,
    )
  }
  return { ...(await context.locate(url)), uri: `dvc+${url}`, digests: { md5 } }
}

function objectAt(folder: string, md5: string): string {
  if (!/^[0-9a-f]{32}(\.dir)?$/.test(md5)) {
    throw new FetchError('InvalidArgument', `"${md5.slice(0, 40)}" is no MD5; check the .dvc file.`)
  }
  return `${folder}/${md5.slice(0, 2)}/${md5.slice(2)}`
}

function outputIn(text: string, pointer: string): Output {
  let outs: readonly Output[] | undefined
  try {
    outs = (loadYaml(text) as { outs?: readonly Output[] } | undefined)?.outs
  } catch {
    outs = undefined
  }
  const [output] = outs ?? []
  if (outs?.length === 1 && typeof output?.md5 === 'string') return output
  throw new FetchError(
    'InvalidArgument',
    `${redactUri(pointer)} is no .dvc file with one output and its md5; give the raw URL of the file that "dvc add" wrote.`,
  )
}

async function directoryAt(url: string, context: LocateContext): Promise<readonly { md5: string; relpath: string }[]> {
  const location = await context.locate(url)
  const text = await readTextAt(context, location)
  const shown = location.kind === 'http' ? location.url : new URL(`file://${location.path}`)
  return asJson(Buffer.from(text), shown) as readonly { md5: string; relpath: string }[]
}
