import { expect, test } from '@jest/globals'
import { quantityValue } from './quantity.ts'

test.each([
  ['1000m', '1'],
  ['1', 1],
  ['0.5', '500m'],
  ['1Ki', '1024'],
  ['1.5Gi', '1536Mi'],
  ['1e3', '1k'],
  ['1E', '1e18'],
  ['100n', '0.0000001'],
  ['-2', '-2000m'],
  ['.5', '0.5'],
])('%s is as much as %s', (one, other) => {
  expect(quantityValue(one)).toBe(quantityValue(other))
})

test.each(['', 'x', '1 Gi', '1gi', '1e', null, {}])('%j is no quantity', (text) => {
  expect(quantityValue(text)).toBeUndefined()
})
