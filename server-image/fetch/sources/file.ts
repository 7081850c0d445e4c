/** `file:///path` and plain paths: files of this machine, such as a mounted volume's. */
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FetchError } from '../fetch-error.ts'
import type { FileLocation } from '../location.ts'
import { redactUri } from '../redact.ts'

export function locateFile(uri: string): FileLocation {
  try {
    return locatePlainPath(fileURLToPath(uri))
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `"${redactUri(uri)}" names no local file; a file URI has three slashes and an absolute path: file:///models/model.onnx.`,
    )
  }
}

export function locatePlainPath(path: string): FileLocation {
  return { kind: 'file', path, beside: (relative) => fileBeside(path, relative) }
}

/**
 * Law: the file is in the model's folder, or below, when all links are followed; a volume whose links lead to what only this container
 * may see would have it served otherwise.
 */
export async function fileBeside(path: string, relative: string): Promise<FileLocation> {
  const wanted = join(dirname(path), relative)
  const found = await realpath(wanted).catch(() => wanted)
  const folders = await Promise.all([realpath(dirname(path)), realpath(path).then(dirname)])
  if (folders.some((folder) => found.startsWith(`${folder.replace(/\/$/, '')}/`))) return { kind: 'file', path: found }
  throw new FetchError(
    'Forbidden',
    `"${wanted}" is a link that leads out of the model's folder; put the file itself there.`,
  )
}
