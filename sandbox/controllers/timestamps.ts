/** Kubernetes writes times in whole seconds (RFC 3339, UTC); everything here computes in milliseconds since the epoch. */

/** `2026-11-23T06:44:27Z`: the second that `ms` lies in. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** Milliseconds of a timestamp; undefined when there is none or it is no time. */
export function millisOf(time: string | undefined): number | undefined {
  if (time === undefined) return undefined
  const ms = Date.parse(time)
  return Number.isNaN(ms) ? undefined : ms
}

/** The earliest of some instants; undefined when there is none. */
export function earliest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
