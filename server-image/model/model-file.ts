/** Reads a model file once: the bytes that are hashed are the bytes that are inspected and loaded. */
import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { constants, open, stat, type FileHandle } from 'node:fs/promises'
import { ModelError, quoted } from './model-error.ts'

/** A protobuf message cannot be larger than 2 GiB. */
export const MAX_MODEL_BYTES = 2 * 1024 ** 3

export interface ModelFile {
  readonly bytes: Uint8Array
  /** Hex. */
  readonly sha256: string
  /** Another one tells that the path names other bytes since. */
  readonly identity: string
}

export async function readModelFile(path: string, maxBytes = MAX_MODEL_BYTES): Promise<ModelFile> {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw openFailure(path, error)
  })
  try {
    const identity = identityIn(await file.stat({ bigint: true }))
    const bytes = await readWhole(path, file, maxBytes)
    return { bytes, sha256: createHash('sha256').update(bytes).digest('hex'), identity }
  } finally {
    await file.close()
  }
}

/** Of the file that the path names now; undefined when there is none. */
export async function identityOf(path: string): Promise<string | undefined> {
  return stat(path, { bigint: true }).then(identityIn, () => undefined)
}

function identityIn({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join()
}

async function readWhole(path: string, file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const found = await file.stat()
  if (!found.isFile()) {
    const what = found.isDirectory() ? 'a directory' : 'not a regular file'
    throw new ModelError('InvalidArgument', `${quoted(path)} is ${what}; give the path of the .onnx file.`)
  }
  if (found.size > maxBytes) throw tooLarge(path, found.size, maxBytes)
  return readBytes(path, file, found.size)
}

const MAX_READ_BYTES = 1024 ** 3

/**
 * Reads so many bytes into memory of their own, which `release` gives back.
 * @param name of the file, for the error
 * @throws ModelError `Interrupted` when there are fewer
 */
export async function readBytes(name: string, file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(size)
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, Math.min(bytes.length - filled, MAX_READ_BYTES), filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  if (filled < bytes.length) {
    throw new ModelError(
      'Interrupted',
      `${quoted(name)} became shorter while it was read; something else writes to it. Try again.`,
    )
  }
  return bytes
}

/** Gives back memory that a file was read into, sooner than a collection of garbage: nobody may look at the bytes any more. */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength && !buffer.detached) buffer.transfer(0)
}

function tooLarge(path: string, sizeBytes: number, maxBytes: number): ModelError {
  return new ModelError(
    'TooLarge',
    `${quoted(path)} has ${sizeBytes} bytes, more than the limit of ${maxBytes}; raise the limit or publish a smaller model.`,
  )
}

function openFailure(path: string, error: unknown): ModelError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new ModelError('NotFound', `There is no file ${quoted(path)}; check the path.`)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ModelError(
      'Forbidden',
      `${quoted(path)} may not be read by this user; check the permissions of the file and its folders.`,
    )
  }
  return new ModelError('InvalidArgument', `${quoted(path)} cannot be opened (${code}); check the path.`)
}
