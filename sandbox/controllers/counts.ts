/**
 * Leaves out counts that are zero, as the API's Go types do (`omitempty`), so that a status reads the same as from a real cluster.
 * `always` names the fields that the API writes even so.
 */
export function withoutZeros<T extends object>(status: T, always: readonly (keyof T & string)[] = []): T {
  const kept = Object.entries(status).filter(
    ([field, value]) => value !== 0 || (always as readonly string[]).includes(field),
  )
  return Object.fromEntries(kept) as T
}
