import { closeSync, existsSync, openSync, renameSync, statSync, writeSync } from 'node:fs'

export type Stream = 'stdout' | 'stderr'

const NEWLINE = 10
/** Longer lines are stored in parts, as container runtimes do. */
const LONGEST_LINE_BYTES = 16 * 1024

/**
 * The log of one run of one container, in the format of container runtimes (`<time> <stream> <F|P> <line>`, P for a part of a line).
 * At `maxBytes` the file is renamed to `<path>.1`, which replaces the one before. Writes are synchronous: they go to the page
 * cache, keep their order and survive this process.
 */
export class LogFile {
  readonly path: string
  readonly #maxBytes: number
  readonly #rests = new Map<Stream, Buffer>()
  readonly #listeners = new Set<() => void>()
  #descriptor: number
  #sizeBytes: number
  #rotations = 0
  #isEnded = false

  constructor(path: string, maxBytes: number) {
    this.path = path
    this.#maxBytes = maxBytes
    this.#descriptor = openSync(path, 'a')
    this.#sizeBytes = statSync(path).size
  }

  /** How often the file was replaced by a new one. */
  get rotations(): number {
    return this.#rotations
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  append(stream: Stream, chunk: Buffer): void {
    if (this.#isEnded) return
    const rest = this.#rests.get(stream)
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    const parts: Buffer[] = []
    let start = 0
    while (start < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, start)
      const lineEnd = newline === -1 ? bytes.length : newline
      if (newline === -1 && lineEnd - start < LONGEST_LINE_BYTES) break
      const end = Math.min(lineEnd, start + LONGEST_LINE_BYTES)
      parts.push(entry(stream, end === newline ? 'F' : 'P', bytes.subarray(start, end)))
      start = end === newline ? end + 1 : end
    }
    this.#rests.set(stream, Buffer.from(bytes.subarray(start)))
    this.#write(parts)
  }

  /** Stores what is left of unfinished lines, and lets followers go. */
  end(): void {
    if (this.#isEnded) return
    const rests = [...this.#rests].filter(([, rest]) => rest.length > 0)
    this.#write(rests.map(([stream, rest]) => entry(stream, 'P', rest)))
    this.#isEnded = true
    closeSync(this.#descriptor)
    this.#tell()
  }

  /** Calls back at every change, until the answered function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #write(entries: readonly Buffer[]): void {
    if (entries.length === 0) return
    try {
      this.#store(Buffer.concat(entries))
    } catch {
      // A full disk or a removed directory costs log lines, never the kubelet.
    }
    this.#tell()
  }

  #store(bytes: Buffer): void {
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#maxBytes) this.#rotate()
    writeSync(this.#descriptor, bytes)
    this.#sizeBytes += bytes.length
  }

  #rotate(): void {
    renameSync(this.path, rotatedPath(this.path))
    const fresh = openSync(this.path, 'a')
    closeSync(this.#descriptor)
    this.#descriptor = fresh
    this.#sizeBytes = 0
    this.#rotations += 1
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

function entry(stream: Stream, tag: 'F' | 'P', line: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${new Date().toISOString()} ${stream} ${tag} `), line, Buffer.from('\n')])
}

export function rotatedPath(path: string): string {
  return `${path}.1`
}

/** The files of a log, oldest first. */
export function filesOf(path: string): string[] {
  return [rotatedPath(path), path].filter((each) => existsSync(each))
}
