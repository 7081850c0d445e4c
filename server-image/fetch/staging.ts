/** Files that are to appear together: received beside their places, and put there when all of them are whole. */
import { mkdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FetchError } from './fetch-error.ts'
import type { Digests } from './location.ts'
import { FileSink, writeFailure, type Received } from './sink.ts'

export class Staging {
  private readonly maxBytes: number
  private readonly sinks: FileSink[] = []
  private usedBytes = 0

  /** @param maxBytes of all files together */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** @param maxBytes of this file, where that is less than what is left for it */
  async sink(out: string, digests: Digests = {}, maxBytes = Infinity): Promise<FileSink> {
    const sink = await FileSink.create({ out, digests, maxBytes: Math.min(maxBytes, this.maxBytes - this.usedBytes) })
    this.sinks.push(sink)
    return sink
  }

  async seal(sink: FileSink): Promise<Received> {
    const received = await sink.seal()
    this.usedBytes += received.sizeBytes
    return received
  }

  /** The last one that was begun first: who waits for the first one finds the others in their places. */
  async place(): Promise<void> {
    for (const sink of this.sinks.toReversed()) await sink.place()
  }

  /** Removes what was not placed. */
  async discard(): Promise<void> {
    for (const sink of this.sinks) await sink.discard()
  }
}

/**
 * Makes the folders of a path below `folder`, and returns the whole path.
 * @throws FetchError when one of them is a link, which could lead elsewhere
 */
export async function placeBelow(folder: string, path: string): Promise<string> {
  const out = join(await realpath(folder), path)
  await mkdir(dirname(out), { recursive: true }).catch((error: unknown) => {
    throw writeFailure(out, error)
  })
  if ((await realpath(dirname(out))) === dirname(out)) return out
  throw new FetchError('InvalidArgument', `"${dirname(out)}" is a link; give --out in a folder of its own.`)
}
