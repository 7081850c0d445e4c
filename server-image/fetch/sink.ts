/**
 * Receives a file's bytes beside the place where it shall be: hashed as they come, on disk before it is renamed.
 * Whoever opens the path sees the whole file or none.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto'
import { open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FetchError } from './fetch-error.ts'
import type { Digests } from './location.ts'

export interface Received {
  /** Hex. */
  readonly sha256: string
  readonly sizeBytes: number
}

export interface Target {
  readonly out: string
  readonly maxBytes: number
  /** What the file must be. */
  readonly digests?: Digests
}

export class FileSink {
  private readonly file: FileHandle
  /** Where the bytes are until the file has its place. */
  readonly partPath: string
  readonly maxBytes: number
  private readonly out: string
  private expected: Digests
  private sha256: Hash = createHash('sha256')
  private md5: Hash | undefined
  private written = 0

  private constructor(file: FileHandle, partPath: string, target: Target) {
    this.file = file
    this.partPath = partPath
    this.out = target.out
    this.maxBytes = target.maxBytes
    this.expected = target.digests ?? {}
    this.restartHashes()
  }

  static async create(target: Target): Promise<FileSink> {
    const { out } = target
    const partPath = join(dirname(out), `.${basename(out)}.${randomBytes(6).toString('hex')}.part`)
    const file = await open(partPath, 'wx', 0o644).catch((error: unknown) => {
      throw writeFailure(out, error)
    })
    return new FileSink(file, partPath, target)
  }

  /** What the file must be, for a source that says so when it is asked. To be called before anything is written. */
  expect(digests: Digests): void {
    this.expected = digests
    this.restartHashes()
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
    this.sha256.update(chunk)
    this.md5?.update(chunk)
    this.written += chunk.length
  }

  /** Forgets what was received, for a source that cannot go on where it stopped. */
  async restart(): Promise<void> {
    await this.file.truncate(0)
    this.restartHashes()
    this.written = 0
  }

  private restartHashes(): void {
    this.sha256 = createHash('sha256')
    this.md5 = this.expected.md5 === undefined ? undefined : createHash('md5')
  }

  /** Nothing more comes: the file is on disk, and is the expected one. @throws FetchError DigestMismatch */
  async seal(): Promise<Received> {
    const sha256 = this.sha256.digest('hex')
    if (this.expected.sha256 !== undefined && sha256 !== this.expected.sha256) {
      throw digestMismatch('sha256', sha256, this.expected.sha256)
    }
    const md5 = this.md5?.digest('hex')
    if (md5 !== undefined && md5 !== this.expected.md5) throw digestMismatch('md5', md5, this.expected.md5)
    try {
      await this.file.sync()
      await this.file.close()
    } catch (error) {
      throw writeFailure(this.out, error)
    }
    return { sha256, sizeBytes: this.written }
  }

  /** Puts a sealed file in its place. @throws FetchError */
  async place(): Promise<void> {
    try {
      await rename(this.partPath, this.out)
      await syncFolder(dirname(this.out))
    } catch (error) {
      throw writeFailure(this.out, error)
    }
  }

  /** Removes what is left of an unfinished file; does nothing after `place`. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined)
    await unlink(this.partPath).catch(() => undefined)
  }
}

export function digestMismatch(algorithm: string, found: string, expected: string | undefined): FetchError {
  return new FetchError(
    'DigestMismatch',
    `The file has ${algorithm} ${found}, but ${expected} was asked for; it was overwritten or damaged. Publish new bytes under a new version.`,
  )
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

export function writeFailure(out: string, error: unknown): FetchError {
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
