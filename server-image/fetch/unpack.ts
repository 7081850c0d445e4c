/** Takes the model out of a fetched archive into the sink. Nothing else of it touches the disk, so no member can be written elsewhere. */
import { createReadStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar'
import { FetchError } from './fetch-error.ts'
import type { Archive } from './location.ts'
import { tooLarge, type FileSink } from './sink.ts'
import { pickOnnx } from './sources/object-path.ts'

/** What an archive may hold beside the model, as a multiple of the limit on the model. */
const MAX_EXPANSION = 2

export interface Unpacking {
  readonly path: string
  readonly archive: Archive
  readonly sink: FileSink
  readonly maxBytes: number
  readonly signal: AbortSignal | undefined
}

/** @throws FetchError when the archive is damaged, too large when unpacked, or does not hold the one model */
export async function unpackModel({ path, archive, sink, maxBytes, signal }: Unpacking): Promise<void> {
  const decoder = createTarDecoder({ strict: true })
  const names: string[] = []
  const reading = takeModel(decoder.readable, archive, { names, sink })
  // Both ends fail together; the reader's own reason comes first.
  reading.catch(() => undefined)
  try {
    await pipeline(
      createReadStream(path),
      ...decompression(archive),
      limited(maxBytes * MAX_EXPANSION, maxBytes),
      decoder.writable,
      signal === undefined ? {} : { signal },
    )
    await reading
  } catch (error) {
    if (signal?.aborted === true) {
      throw new FetchError('Interrupted', 'Unpacking was stopped before it was complete. Start it again.')
    }
    const own = await Promise.race([reading.catch((reason: unknown) => reason), Promise.resolve(error)])
    throw [own, error].find((each) => each instanceof FetchError) ?? damaged(error)
  }
  pickOnnx(names, archive.member, 'The archive')
}

async function takeModel(
  entries: ReadableStream<ParsedTarEntry>,
  { member }: Archive,
  { names, sink }: { names: string[]; sink: FileSink },
): Promise<void> {
  for await (const { header, body } of entries) {
    const name = header.name.replace(/^(\.?\/)+/, '')
    const isFile = header.type === undefined || header.type === 'file'
    if (isFile) names.push(name)
    const isWanted = isFile && (member === undefined ? /\.onnx$/i.test(name) : name === member)
    if (isWanted) await sink.restart()
    // What is not wanted is read all the same: modern-tar takes the cancellation of a member for that of the one after it.
    for await (const chunk of body) {
      if (isWanted) await sink.write(chunk)
    }
  }
}

function decompression({ compression }: Archive): Transform[] {
  switch (compression) {
    case 'gzip':
      return [createGunzip()]
    case 'zstd':
      return [createZstdDecompress()]
    case 'none':
      return []
  }
}

function limited(maxUnpackedBytes: number, maxBytes: number): Transform {
  let size = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size > maxUnpackedBytes) done(tooLarge(maxBytes))
      else done(null, chunk)
    },
  })
}

function damaged(error: unknown): FetchError {
  const why = error instanceof Error ? error.message : String(error)
  return new FetchError('InvalidModel', `The archive with the model cannot be unpacked (${why}); push it again.`)
}
