import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { MAX_DEPTH, parseExactlyCounting, parseJson } from './json-body.ts'
import { jsonFault } from './json-fault.ts'

function problemOf(body: Buffer | string): string {
  try {
    parseJson(Buffer.from(body))
  } catch (error) {
    if (error instanceof ApiError) return error.message
    throw error
  }
  return 'none'
}

describe('reading JSON', () => {
  test.each([
    ['', 'The body is empty; send a JSON object.'],
    ['{"a": NaN}', 'unexpected "NaN" where a value should follow at position 6 (line 1, column 7)'],
    ['{"a": -Infinity}', 'unexpected "-Infinity" where a value should follow at position 6'],
    ['{"a":\n [1, 2,]}', 'unexpected "]" where a value should follow at position 13 (line 2, column 8)'],
    ['{"a": 1', 'the text ends where "," or "}" should follow at position 7'],
    ["{'a': 1}", 'unexpected "\'" where a name in double quotes should follow at position 1'],
    ['{"a": 01}', 'unexpected "1" where "," or "}" should follow at position 7'],
    ['{"a": "b', 'a string that does not end at position 6'],
    ['{"a": "\\x"}', 'an invalid escape in a string at position 7'],
    ['{"a": 1} x', 'unexpected "x" where the end should follow at position 9'],
  ])('says where %j is wrong', (text, problem) => {
    expect(problemOf(text)).toContain(problem)
  })

  test('finds a fault exactly where JSON.parse does, in any damaged document', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (json, at, damage) => {
        const cut = at % (json.length + 1)
        const text = json.slice(0, cut) + damage + json.slice(cut + (at % 2))
        const isJson = isAccepted(() => JSON.parse(text))
        expect(jsonFault(text) === undefined).toBe(isJson)
      }),
      { numRuns: 2000 },
    )
  })

  test('refuses bytes that are not UTF-8', () => {
    expect(problemOf(Buffer.from([0x22, 0xff, 0x22]))).toBe('The body is not valid UTF-8; send JSON in UTF-8.')
  })

  test('refuses nesting before it is parsed, and is not fooled by brackets in strings', () => {
    expect(problemOf('['.repeat(1_000_000))).toContain(
      `nested deeper than ${MAX_DEPTH} levels at position ${MAX_DEPTH}`,
    )
    expect(problemOf(JSON.stringify(['[{'.repeat(100), '\\"[[[['.repeat(20)]))).toBe('none')
    expect(problemOf('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH))).toBe('none')
  })

  test('keeps all digits of integers that a double cannot hold, when asked to', () => {
    const body = Buffer.from('[9223372036854775807, -9007199254740993, 9007199254740991, 1e20, 12345678901234567.5]')
    expect(parseExactlyCounting(body).value).toEqual([
      9223372036854775807n,
      -9007199254740993n,
      9007199254740991,
      1e20,
      12345678901234567.5,
    ])
    expect(parseJson(body)).toEqual([
      9223372036854775807, -9007199254740992, 9007199254740991, 1e20, 12345678901234567.5,
    ])
  })

  test.each([
    ['9007199254740993', 9007199254740993n],
    ['\n -9223372036854775808 ', -9223372036854775808n],
    ['{"a":18446744073709551615}', { a: 18446744073709551615n }],
    ['[1.5,\t9007199254740993]', [1.5, 9007199254740993n]],
  ])('sees such an integer wherever it stands: %j', (text, value) => {
    expect(parseExactlyCounting(Buffer.from(text)).value).toEqual(value)
  })

  test.each([
    '[0.12345678901234567,-0.9007199254740993,12345678901234567.5,1.2345678901234567e-7,12345678901234567e3]',
    '[100000000000000000000000000000]',
  ])('takes the quick way where there is none: %s', (text) => {
    const parse = jest.spyOn(JSON, 'parse')
    try {
      parseExactlyCounting(Buffer.from(text))
      expect(parse.mock.calls).toEqual([[text]])
    } finally {
      parse.mockRestore()
    }
  })
})

function isAccepted(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}
