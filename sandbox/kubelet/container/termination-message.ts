import { open } from 'node:fs/promises'
import type { Container } from '../objects.ts'
import { readLog } from './log-reader.ts'

const MAX_FILE_BYTES = 4096
const MAX_LOG_BYTES = 2048
const MAX_LOG_LINES = 80

/** What a container left to say: its message file, or (`FallbackToLogsOnError`) the end of its log when it failed without one. */
export async function terminationMessage(
  container: Container,
  ended: { readonly exitCode: number; readonly file: string; readonly log: string },
): Promise<string | undefined> {
  const written = await headOf(ended.file)
  if (written !== '') return written
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || ended.exitCode === 0) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of readLog(ended.log, undefined, { tailLines: MAX_LOG_LINES })) chunks.push(chunk)
  const text = Buffer.concat(chunks).subarray(-MAX_LOG_BYTES).toString()
  return text === '' ? undefined : text
}

async function headOf(path: string): Promise<string> {
  try {
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    return ''
  }
}
