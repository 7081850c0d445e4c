/** One digest for all the files that hold a model's tensors beside it. */
import { createHash } from 'node:crypto'

export interface DataFile {
  /** As the model spells it. */
  readonly location: string
  /** Hex. */
  readonly sha256: string
}

/** Hex: the sha256 of what `sha256sum` prints for the files, in the order of their names' bytes. */
export function dataDigest(files: readonly DataFile[]): string {
  const lines = files.map(({ location, sha256 }) => ({ name: Buffer.from(location), sha256 }))
  const hash = createHash('sha256')
  for (const { name, sha256 } of lines.sort((a, b) => Buffer.compare(a.name, b.name))) {
    hash.update(`${sha256}  `).update(name).update('\n')
  }
  return hash.digest('hex')
}
