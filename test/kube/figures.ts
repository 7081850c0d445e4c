/** How long things took, for the last lines of a run. In the temporary directory of the namespaces, so of this run alone. */
import { appendFile, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const file = () => join(tmpdir(), 'figures')

export async function note(what: string, startedAt: number): Promise<void> {
  await appendFile(file(), `${JSON.stringify({ what, seconds: (performance.now() - startedAt) / 1000 })}\n`)
}

/** A line for each thing that was noted. */
export async function summary(): Promise<string[]> {
  const lines = (await readFile(file(), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
  const notes = lines.map((line) => JSON.parse(line) as { what: string; seconds: number })
  return Object.entries(Object.groupBy(notes, ({ what }) => what)).map(([what, each = []]) => {
    const sorted = each.map(({ seconds }) => seconds).sort((a, b) => a - b)
    const median = sorted[Math.floor(sorted.length / 2)] ?? NaN
    return each.length === 1
      ? `${what}: ${median.toFixed(1)} s`
      : `${what}: ${median.toFixed(1)} s (median of ${each.length})`
  })
}
