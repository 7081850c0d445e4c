/**
 * Receives a file's bytes beside the place where it shall be: hashed as they come, on disk before it is renamed.
 * Whoever opens the path sees the whole file or none.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto'
import { open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FetchError } from './fetch-error.ts'

export interface Received {
  /** Hex. */
  readonly sha256: string
  readonly sizeBytes: number
}

export class FileSink {
  private readonly file: FileHandle
  private readonly partPath: string
  private readonly out: string
  private readonly maxBytes: number
  private hash: Hash = createHash('sha256')
  private written = 0

  private constructor(file: FileHandle, partPath: string, out: string, maxBytes: number) {
    this.file = file
    this.partPath = partPath
    this.out = out
    this.maxBytes = maxBytes
  }

  static async create(out: string, maxBytes: number): Promise<FileSink> {
    const partPath = join(dirname(out), `.${basename(out)}.${randomBytes(6).toString('hex')}.part`)
    const file = await open(partPath, 'wx', 0o644).catch((error: unknown) => {
      throw writeFailure(out, error)
    })
    return new FileSink(file, partPath, out, maxBytes)
  }

  get sizeBytes(): number {
    return this.written
  }

  /** @throws FetchError TooLarge when the bytes would exceed the limit */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.written + chunk.length > this.maxBytes) throw tooLarge(this.maxBytes)
    try {
      let at = 0
      while (at < chunk.length) {
        const { bytesWritten } = await this.file.write(chunk, at, chunk.length - at, this.written + at)
        at += bytesWritten
      }
    } catch (error) {
      throw writeFailure(this.out, error)
    }
    this.hash.update(chunk)
    this.written += chunk.length
  }

  /** Forgets what was received, for a source that cannot go on where it stopped. */
  async restart(): Promise<void> {
    await this.file.truncate(0)
    this.hash = createHash('sha256')
    this.written = 0
  }

  /** Puts the file in its place if it is the expected one. @throws FetchError DigestMismatch */
  async finish(expectedSha256: string | undefined): Promise<Received> {
    const sha256 = this.hash.digest('hex')
    if (expectedSha256 !== undefined && sha256 !== expectedSha256) {
      throw new FetchError(
        'DigestMismatch',
        `The file has sha256 ${sha256}, but ${expectedSha256} was asked for; it was overwritten or damaged. Publish new bytes under a new version.`,
      )
    }
    try {
      await this.file.sync()
      await this.file.close()
      await rename(this.partPath, this.out)
      await syncFolder(dirname(this.out))
    } catch (error) {
      throw writeFailure(this.out, error)
    }
    return { sha256, sizeBytes: this.written }
  }

  /** Removes what is left of an unfinished file; does nothing after `finish`. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined)
    await unlink(this.partPath).catch(() => undefined)
  }
}

export function tooLarge(maxBytes: number, sizeBytes?: number): FetchError {
  const size = sizeBytes === undefined ? 'is' : `has ${sizeBytes} bytes,`
  return new FetchError(
    'TooLarge',
    `The file ${size} larger than the limit of ${maxBytes} bytes; raise the limit or publish a smaller file.`,
  )
}

/** Makes the rename last through a power failure; a file system that cannot do it is no reason to fail. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

function writeFailure(out: string, error: unknown): FetchError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new FetchError('TooLarge', `There is no space left for "${out}"; give its volume more room.`, {
      cause: error,
    })
  }
  return new FetchError(
    'InvalidArgument',
    `"${out}" cannot be written (${code}); give a path in an existing, writable folder.`,
    { cause: error },
  )
}
