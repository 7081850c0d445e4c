import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { filesOf } from './log-file.ts'
import type { LogFile } from './log-file.ts'

export interface LogReadOptions {
  /** Go on with what is written from now on, until the container ends. */
  readonly follow?: boolean
  /** Only so many of the last lines, of those that are there. */
  readonly tailLines?: number
  /** Only lines written since then. */
  readonly sinceMs?: number
  /** Put the time before every line. */
  readonly timestamps?: boolean
  readonly limitBytes?: number
  readonly signal?: AbortSignal
}

const NEWLINE = 10

/** Reads a log: what is stored, then (with `follow` and the log of a running container) what comes. */
export async function* readLog(
  path: string,
  live: LogFile | undefined,
  options: LogReadOptions,
): AsyncGenerator<Uint8Array> {
  let left = options.limitBytes ?? Infinity
  for await (const bytes of rendered(path, live, options)) {
    if (left <= 0) return
    yield bytes.subarray(0, left)
    left -= bytes.length
  }
}

async function* rendered(path: string, live: LogFile | undefined, options: LogReadOptions): AsyncGenerator<Buffer> {
  const tail = live !== undefined && options.follow === true ? new Tail(path, live) : undefined
  const stored = shown(tail === undefined ? storedEntries(path) : tail.stored(), options)
  try {
    yield* options.tailLines === undefined ? stored : lastOf(stored, options.tailLines)
    if (tail !== undefined) yield* shown(tail.coming(options.signal), options)
  } finally {
    await tail?.close()
  }
}

async function* shown(entries: AsyncGenerator<Buffer>, options: LogReadOptions): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    const text = render(entry, options)
    if (text !== undefined) yield text
  }
}

async function* lastOf(lines: AsyncGenerator<Buffer>, wanted: number): AsyncGenerator<Buffer> {
  const kept: Buffer[] = []
  for await (const line of lines) {
    kept.push(line)
    if (kept.length > 2 * wanted) kept.splice(0, kept.length - wanted)
  }
  if (wanted > 0) yield* kept.slice(-wanted)
}

async function* storedEntries(path: string): AsyncGenerator<Buffer> {
  for (const file of filesOf(path)) {
    const splitter = new Splitter()
    for await (const chunk of createReadStream(file)) yield* splitter.push(chunk as Buffer)
  }
}

/** Follows a log over its rotations: an old file is read to its end before the new one. Whoever falls two files behind misses one. */
class Tail {
  readonly #path: string
  readonly #live: LogFile
  #splitter = new Splitter()
  #file: FileHandle | undefined
  #rotations = 0

  constructor(path: string, live: LogFile) {
    this.#path = path
    this.#live = live
  }

  async *stored(): AsyncGenerator<Buffer> {
    const [older, current] = [filesOf(this.#path).slice(0, -1), this.#live.rotations]
    for (const file of older) {
      const splitter = new Splitter()
      for await (const chunk of createReadStream(file)) yield* splitter.push(chunk as Buffer)
    }
    this.#rotations = current
    this.#file = await open(this.#path)
    yield* this.#rest()
  }

  async *coming(signal?: AbortSignal): AsyncGenerator<Buffer> {
    while (signal?.aborted !== true) {
      const changed = nextChange(this.#live, signal)
      const { isEnded, rotations } = this.#live
      yield* this.#rest()
      if (rotations !== this.#rotations) {
        await this.#file?.close()
        this.#file = await open(this.#path)
        this.#rotations = rotations
        this.#splitter = new Splitter()
      } else if (isEnded) {
        changed.cancel()
        return
      } else await changed.happened
      changed.cancel()
    }
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }

  async *#rest(): AsyncGenerator<Buffer> {
    const buffer = Buffer.allocUnsafe(64 * 1024)
    for (;;) {
      const { bytesRead } = (await this.#file?.read(buffer, 0, buffer.length)) ?? { bytesRead: 0 }
      if (bytesRead === 0) return
      yield* this.#splitter.push(Buffer.from(buffer.subarray(0, bytesRead)))
    }
  }
}

function nextChange(live: LogFile, signal?: AbortSignal): { happened: Promise<void>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const off = live.onChange(resolve)
  signal?.addEventListener('abort', () => resolve(), { once: true })
  return { happened: promise, cancel: off }
}

class Splitter {
  #rest: Buffer

  constructor() {
    this.#rest = Buffer.alloc(0)
  }

  /** The complete lines, without their newlines. */
  *push(chunk: Buffer): Generator<Buffer> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      yield bytes.subarray(start, end)
      start = end + 1
    }
    this.#rest = bytes.subarray(start)
  }
}

/** `<time> <stream> <tag> <line>` as it is shown. */
function render(stored: Buffer, { timestamps = false, sinceMs }: LogReadOptions): Buffer | undefined {
  const afterTime = stored.indexOf(' ')
  const afterStream = stored.indexOf(' ', afterTime + 1)
  const time = stored.toString('latin1', 0, afterTime)
  if (sinceMs !== undefined && Date.parse(time) < sinceMs) return undefined
  const isPart = stored[afterStream + 1] === 'P'.charCodeAt(0)
  const line = stored.subarray(afterStream + 3)
  const head = timestamps ? Buffer.from(`${time} `) : Buffer.alloc(0)
  return Buffer.concat([head, line, Buffer.from(isPart ? '' : '\n')])
}
