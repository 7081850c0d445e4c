import type { FeatureValue } from '../model/rows.ts'

const MAX_CATEGORY_CHARACTERS = 64

/** How a value is called as a category: true and 1 are the same, as models take either; long texts are cut. */
export function categoryOf(value: FeatureValue): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  const text = String(value)
  // Cut by way of bytes: a slice of a string would keep the whole of it in memory.
  return text.length > MAX_CATEGORY_CHARACTERS
    ? Buffer.from(text.slice(0, MAX_CATEGORY_CHARACTERS)).toString('utf8')
    : text
}
