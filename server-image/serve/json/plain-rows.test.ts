import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { PlainRows } from './plain-rows.ts'

const features = new PlainRows('features')
const instances = new PlainRows('instances')

/** As people and programs write them. */
const decimal = fc
  .tuple(fc.boolean(), fc.nat(999_999_999), fc.nat(9_999_999), fc.nat(6))
  .map(([isNegative, whole, fraction, decimals]) => {
    const tail = decimals === 0 ? '' : `.${String(fraction).padStart(7, '0').slice(0, decimals)}`
    return `${isNegative ? '-' : ''}${whole}${tail}`
  })
const separator = fc.constantFrom(',', ', ')
const rowText = fc
  .tuple(fc.array(decimal, { minLength: 1, maxLength: 30 }), separator)
  .map(([numbers, between]) => `[${numbers.join(between)}]`)

describe('plain rows', () => {
  test('are read as JSON.parse reads them, to the last bit', () => {
    fc.assert(
      fc.property(fc.array(rowText, { minLength: 1, maxLength: 5 }), separator, (rows, between) => {
        const [row = ''] = rows
        expect(features.row(Buffer.from(`{"features":${row}}`))).toStrictEqual(JSON.parse(row))
        const all = `[${rows.join(between)}]`
        expect(instances.rows(Buffer.from(`{"instances": ${all}}`))).toStrictEqual(JSON.parse(all))
      }),
    )
  })

  test('are never read otherwise, whatever the body is', () => {
    const piece = fc.oneof(
      decimal,
      rowText,
      fc.constantFrom(
        ...'[]{}", :-+.eE0123456789\n\t'.split(''),
        '00',
        '1.',
        '.5',
        '1e5',
        '-0',
        '0.1',
        'null',
        'features',
      ),
      fc.double().map(String),
    )
    let read = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, isRow) => {
        for (const text of [
          pieces.join(''),
          `{"features":[${pieces.join(',')}]}`,
          `{"instances":[${pieces.join('')}]}`,
        ]) {
          const body = Buffer.from(text)
          const found = isRow ? features.row(body) : instances.rows(body)
          if (found === undefined) continue
          read += 1
          expect({ [isRow ? 'features' : 'instances']: found }).toStrictEqual(JSON.parse(text))
        }
      }),
      { numRuns: 20_000 },
    )
    expect(read).toBeGreaterThan(100)
  })

  test.each([
    ['nothing', ''],
    ['no number', '{"features":[]}'],
    ['a number of 16 digits', '{"features":[0.1234567890123456]}'],
    ['an exponent', '{"features":[1e5]}'],
    ['a leading zero', '{"features":[01]}'],
    ['a point without digits', '{"features":[1.]}'],
    ['a sign alone', '{"features":[-]}'],
    ['another member', '{"features":[1],"x":2}'],
    ['another name', '{"Features":[1]}'],
    ['no end', '{"features":[1]'],
    ['something behind', '{"features":[1]} '],
    ['rows in it', '{"features":[[1]]}'],
    ['text', '{"features":["1"]}'],
    ['a trailing comma', '{"features":[1,]}'],
  ])('are not: %s', (_what, text) => {
    expect(features.row(Buffer.from(text))).toBeUndefined()
  })
})
