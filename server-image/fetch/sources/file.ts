/** `file:///path` and plain paths: files of this machine, such as a mounted volume's. */
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
  return { kind: 'file', path }
}
