/** How numbers of gates are written: rounded where people read them, never where they are compared. */

/** 4 significant digits, for evidence. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

/** As `rounded`; null where a number is missing or not finite, which JSON cannot say. */
export function roundedOrNull(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : rounded(value)
}

/** `31 of 214 requests (14.5 %)`. */
export function shareOf(part: number, whole: number, unit = ''): string {
  const percent = whole === 0 ? '' : ` (${brief((100 * part) / whole)} %)`
  return `${part} of ${whole}${unit}${percent}`
}

/** A difference of rates in percentage points: `8.1`. */
export function points(difference: number): string {
  return brief(100 * difference)
}

/** `12.3 ms`, from seconds. */
export function milliseconds(seconds: number): string {
  return `${brief(1000 * seconds)} ms`
}

/** 3 significant digits, at most 4 behind the point, without an exponent. */
export function brief(value: number): string {
  return String(Number(Number(value.toPrecision(3)).toFixed(4)))
}

/** `about 340 more requests`: two significant digits, as it is an estimate, but small numbers whole. */
export function about(count: number): string {
  const estimate = count < 20 ? count : Math.ceil(Number(count.toPrecision(2)))
  return `about ${estimate} more ${count === 1 ? 'request' : 'requests'}`
}

/** What a gate that cannot decide expects of the future; `obstacle` says why waiting will not help when it will not. */
export function outlook(more: number | undefined, obstacle: string): string {
  if (more !== undefined) return `${about(more)} to the candidate would decide if this goes on`
  return `a million more requests like these would not decide, as ${obstacle}`
}
