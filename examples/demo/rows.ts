import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from './traffic.ts'

/** The 228 holdout rows of `examples/biopsy`; the last column is the label. */
export function holdoutRows(): Row[] {
  const [, ...lines] = readFileSync(join(import.meta.dirname, '../biopsy/holdout.csv'), 'utf8')
    .trim()
    .split('\n')
  return lines.map((line) => {
    const values = line.split(',').map(Number)
    return { features: values.slice(0, -1), label: values.at(-1) ?? NaN }
  })
}
