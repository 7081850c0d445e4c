import { hash } from 'node:crypto'

const MAX_CHARACTERS = 64
const DIGEST_CHARACTERS = 43

/**
 * How a label is kept and compared: a long text by its beginning and its digest (sha256), so that what is kept is bounded in bytes, and two are the
 * same only if their texts are. What is kept already stays as it is.
 */
export function keptLabel(label: number | string): number | string {
  if (typeof label === 'number' || label.length <= MAX_CHARACTERS) return label
  // By way of bytes: a slice of a string would keep the whole of it in memory.
  const beginning = Buffer.from(label.slice(0, MAX_CHARACTERS - DIGEST_CHARACTERS - 1)).toString('utf8')
  return `${beginning}…${hash('sha256', label, 'base64url')}`
}
