import { create } from '@bufbuild/protobuf'
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt'

const UNIT_NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 86_400e9,
  w: 604_800e9,
}

/** A Go duration, `1h30m`; undefined when the text is none. */
export function parseDuration(text: string): Duration | undefined {
  if (!/^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d|w))+$/.test(text)) return undefined
  let nanoseconds = 0
  for (const [, amount = '0', unit = 's'] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w)/g)) {
    nanoseconds += Number(amount) * (UNIT_NANOSECONDS[unit] ?? 0)
  }
  if (text.startsWith('-')) nanoseconds = -nanoseconds
  const seconds = Math.trunc(nanoseconds / 1e9)
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round(nanoseconds - seconds * 1e9) })
}
