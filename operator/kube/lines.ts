import type { Readable } from 'node:stream'
import { TransportError } from './errors.ts'

const NEWLINE = 0x0a

/**
 * The lines of a byte stream. They are cut as bytes and decoded whole, so a character that two chunks share stays whole. Empty lines
 * are left out; what comes after the last newline is a line that broke off, and counts as none.
 *
 * @throws TransportError when a line is longer than `maxBytes` or the stream breaks.
 */
export async function* linesOf(stream: Readable, maxBytes: number): AsyncGenerator<string> {
  const cut = lineCutter(maxBytes)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield* cut(chunk)
  } catch (error) {
    if (error instanceof TransportError) throw error
    throw new TransportError('connection', `the stream broke: ${(error as Error).message}`, error)
  } finally {
    stream.destroy()
  }
}

/** Takes chunks, gives the lines that each of them completes. */
function lineCutter(maxBytes: number): (chunk: Buffer) => string[] {
  let pending: Buffer[] = []
  let pendingBytes = 0
  return (chunk) => {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(Buffer.concat([...pending, chunk.subarray(start, end)]).toString('utf8'))
      pending = []
      pendingBytes = 0
      start = end + 1
    }
    if (start < chunk.length) pending.push(chunk.subarray(start))
    pendingBytes += chunk.length - start
    if (pendingBytes > maxBytes) throw new TransportError('too-large', `a line is longer than ${maxBytes} bytes`)
    return lines.filter((line) => line.trim() !== '')
  }
}
