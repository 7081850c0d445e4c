/** A point in time: milliseconds since the Unix epoch. The core never reads a clock; every function that needs one takes `now`. */
export type Instant = number

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Longer than anybody waits, and short enough for every time that it is added to. */
const MAX_DURATION_MS = 100 * 365 * 24 * 3_600_000

/**
 * Milliseconds of a duration, at most a hundred years, as Go writes it: `1h30m`, `90s`, `250ms`.
 * @throws RangeError for anything else; the schema's pattern lets nothing else through.
 */
export function parseDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new RangeError(`"${text}" is not a duration; write for example 30s, 5m or 1h30m`)
  }
  const durationMs = parts.reduce((total, part) => total + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? NaN), 0)
  return Math.min(durationMs, MAX_DURATION_MS)
}

/** A duration for people: `250ms`, `45s`, `5m`, `1h30m`. Rounded to seconds from one second on. */
export function formatDurationMs(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`
  const seconds = Math.round(durationMs / 1000)
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const
  return parts
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join('')
}

/** RFC 3339 with milliseconds, which is what status holds; hold times are shorter than a second in tests and rehearsals. */
export function formatInstant(instant: Instant): string {
  return new Date(instant).toISOString()
}

/** RFC 3339 with whole seconds, as metav1.Time writes it, for condition times. */
export function formatSecond(instant: Instant): string {
  return new Date(instant).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Reads a time of status; undefined when it is absent or no time. */
export function parseInstant(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined
  const instant = Date.parse(text)
  return Number.isNaN(instant) ? undefined : instant
}
