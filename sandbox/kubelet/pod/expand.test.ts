import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { expand } from './expand.ts'

const values = new Map([
  ['NAME', 'fraud'],
  ['EMPTY', ''],
  ['NESTED', '$(NAME)'],
])
const lookup = (name: string) => values.get(name)

describe('expand', () => {
  test.each([
    ['--name=$(NAME)', '--name=fraud'],
    ['$(NAME)$(NAME)', 'fraudfraud'],
    ['[$(EMPTY)]', '[]'],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$$(NAME)', '$(NAME)'],
    ['$$$(NAME)', '$fraud'],
    ['$$$$(NAME)', '$$(NAME)'],
    ['$NAME ${NAME}', '$NAME ${NAME}'],
    ['$(NAME', '$(NAME'],
    ['$(NESTED)', '$(NAME)'],
    ['100$', '100$'],
  ])('%s becomes %s', (text, expanded) => {
    expect(expand(text, lookup)).toBe(expanded)
  })

  test('a text without a dollar sign stays as it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('$'))
        expect(expand(text, lookup)).toBe(text)
      }),
    )
  })

  test('doubling every dollar sign protects any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '(', ')', 'N', 'A', 'M', 'E') }), (text) => {
        expect(expand(text.replaceAll('$', '$$$$'), lookup)).toBe(text)
      }),
    )
  })
})
