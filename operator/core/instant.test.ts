import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { formatDurationMs, formatSecond, parseDurationMs, parseInstant } from './instant.ts'

test.each([
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['1h30m', 5_400_000],
])('%s is %d ms', (text, milliseconds) => {
  expect(parseDurationMs(text)).toBe(milliseconds)
})

test.each(['', '5', 's', '5 m', '1d', '-5s', '5s!'])('"%s" is refused with an example', (text) => {
  expect(() => parseDurationMs(text)).toThrow(/write for example 30s, 5m or 1h30m/)
})

test('whole seconds survive being written and read', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      (seconds) => parseDurationMs(formatDurationMs(seconds * 1000)) === seconds * 1000,
    ),
  )
})

test('condition times have whole seconds, and what is no time is none', () => {
  expect(formatSecond(1_767_225_600_123)).toBe('2026-01-01T00:00:00Z')
  expect(parseInstant('yesterday')).toBeUndefined()
  expect(parseInstant(undefined)).toBeUndefined()
})
