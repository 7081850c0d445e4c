/** Takes the model and its data out of a fetched archive into sinks. Nothing else of it touches the disk, so no member can be written elsewhere. */
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
  readonly maxBytes: number
  readonly signal: AbortSignal | undefined
}

/** Takes what is wanted of a member's content; undefined to pass it by. */
type TakeMember = (name: string) => ((content: AsyncIterable<Uint8Array>) => Promise<void>) | undefined

/**
 * Returns the name of the member that is the model.
 * @throws FetchError when the archive is damaged, too large when unpacked, or does not hold the one model
 */
export async function unpackModel(unpacking: Unpacking, sink: FileSink): Promise<string> {
  const { member } = unpacking.archive
  const names = await readMembers(unpacking, (name) =>
    (member === undefined ? /\.onnx$/i.test(name) : name === member) ? (content) => copy(content, sink) : undefined,
  )
  return pickOnnx(names, member, 'The archive')
}

/**
 * Takes out members by their names.
 * @param receive is given what writes the member of that name into a sink
 * @throws FetchError when the archive is damaged, too large when unpacked, or does not hold all of them
 */
export async function unpackFiles(
  unpacking: Unpacking,
  wanted: readonly string[],
  receive: (name: string, write: (sink: FileSink) => Promise<void>) => Promise<void>,
): Promise<void> {
  const left = new Set(wanted)
  await readMembers(unpacking, (name) =>
    left.delete(name) ? (content) => receive(name, (sink) => copy(content, sink)) : undefined,
  )
  const [missing] = left
  if (missing === undefined) return
  throw new FetchError('NotFound', `The archive has no file "${missing}"; put it there, beside the model.`)
}

async function copy(content: AsyncIterable<Uint8Array>, sink: FileSink): Promise<void> {
  await sink.restart()
  for await (const chunk of content) await sink.write(chunk)
}

/** Returns the names of all files in the archive. */
async function readMembers({ path, archive, maxBytes, signal }: Unpacking, take: TakeMember): Promise<string[]> {
  const decoder = createTarDecoder({ strict: true })
  const reading = eachFile(decoder.readable, take)
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
    return await reading
  } catch (error) {
    if (signal?.aborted === true) {
      throw new FetchError('Interrupted', 'Unpacking was stopped before it was complete. Start it again.')
    }
    const own = await Promise.race([reading.catch((reason: unknown) => reason), Promise.resolve(error)])
    throw [own, error].find((each) => each instanceof FetchError) ?? damaged(error)
  }
}

async function eachFile(entries: ReadableStream<ParsedTarEntry>, take: TakeMember): Promise<string[]> {
  const names: string[] = []
  for await (const { header, body } of entries) {
    const name = header.name.replace(/^(\.?\/)+/, '')
    const isFile = header.type === undefined || header.type === 'file'
    if (isFile) names.push(name)
    const consume = isFile ? take(name) : undefined
    if (consume !== undefined) await consume(body)
    // What is not wanted is read all the same: modern-tar takes the cancellation of a member for that of the one after it.
    else await body.pipeTo(new WritableStream())
  }
  return names
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
