/** Copies a file of this machine (a mounted volume) into the sink. */
import { constants, open, type FileHandle } from 'node:fs/promises'
import { FetchError } from './fetch-error.ts'
import { tooLarge, type FileSink } from './sink.ts'

const CHUNK_BYTES = 1024 * 1024

export interface LocalFetch {
  readonly path: string
  readonly sink: FileSink
  readonly signal: AbortSignal | undefined
}

export async function fetchLocalFile({ path, sink, signal }: LocalFetch): Promise<{ lastModified: string }> {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw openFailure(path, error)
  })
  try {
    const before = await file.stat()
    if (!before.isFile()) {
      const what = before.isDirectory() ? 'a directory' : 'a pipe, socket or device'
      throw new FetchError('InvalidArgument', `"${path}" is ${what}; give the path of the .onnx file itself.`)
    }
    if (before.size > sink.maxBytes) throw tooLarge(sink.maxBytes, before.size)
    await copy(file, sink, signal)
    const after = await file.stat()
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
      throw new FetchError(
        'Interrupted',
        `"${path}" changed while it was copied; write it under another name and rename it. Trying again may help.`,
      )
    }
    return { lastModified: before.mtime.toUTCString() }
  } finally {
    await file.close()
  }
}

async function copy(file: FileHandle, sink: FileSink, signal: AbortSignal | undefined): Promise<void> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    if (signal?.aborted === true)
      throw new FetchError('Interrupted', 'The copy was stopped before it was complete. Start it again.')
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, sink.sizeBytes)
    if (bytesRead === 0) return
    await sink.write(chunk.subarray(0, bytesRead))
  }
}

function openFailure(path: string, error: unknown): FetchError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new FetchError(
        'NotFound',
        `There is no file "${path}"; check the path, and that its volume is mounted in the pod.`,
      )
    case 'EACCES':
    case 'EPERM':
      return new FetchError(
        'Forbidden',
        `"${path}" may not be read by this user; check the permissions of the file and its folders.`,
      )
    default:
      return new FetchError('InvalidArgument', `"${path}" cannot be opened (${code}); give the path of a regular file.`)
  }
}
