/** A text that is equal for two JSON values exactly if they mean the same: keys sorted, nulls and empty lists left out. */
export function canonical(value: unknown): string {
  return JSON.stringify(normal(value)) ?? 'null'
}

/** Whether two JSON values mean the same to Kubernetes: absent, null and an empty list are one. */
export function sameMeaning(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b)
}

function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .filter(([, field]) => field !== null && field !== undefined && !(Array.isArray(field) && field.length === 0))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]): [string, unknown] => [key, normal(field)])
  return Object.fromEntries(entries)
}
