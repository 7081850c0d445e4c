/** A revision is named `<modeldeployment>-<10 hex digits>`. True when both are of one model, or the same. */
export function isOfSameModel(revision: string, other: string): boolean {
  return revision === other || (hasHash(revision) && hasHash(other) && modelOf(revision) === modelOf(other))
}

const HASH_LENGTH = 11

const hasHash = (revision: string) => /^-[0-9a-f]{10}$/.test(revision.slice(-HASH_LENGTH))
const modelOf = (revision: string) => revision.slice(0, -HASH_LENGTH)
