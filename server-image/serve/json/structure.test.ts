import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { duplicateMember, structureOf } from './structure.ts'

/** JSON in which names may come twice, with the number of its members and the path of the first such name. */
interface Written {
  readonly text: string
  readonly members: number
  readonly duplicate?: string
}

const scalar = fc
  .oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null))
  .map((value): Written => ({ text: JSON.stringify(value), members: 0 }))
const name = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string())

const { written } = fc.letrec<{ written: Written }>((tie) => ({
  written: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('written'), { maxLength: 4 }).map(arrayOf),
    fc.array(fc.tuple(name, tie('written')), { maxLength: 4 }).map(objectOf),
  ),
}))

const sum = (parts: readonly Written[]) => parts.reduce((total, { members }) => total + members, 0)

function arrayOf(elements: readonly Written[]): Written {
  const found = elements.findIndex(({ duplicate }) => duplicate !== undefined)
  return {
    text: `[${elements.map(({ text }) => text).join(' , ')}]`,
    members: sum(elements),
    ...(found !== -1 && { duplicate: `[${found}]${elements[found]?.duplicate ?? ''}` }),
  }
}

function objectOf(members: readonly (readonly [string, Written])[]): Written {
  const values = members.map(([, value]) => value)
  const found = members.findIndex(
    ([key, { duplicate }], index) =>
      duplicate !== undefined || members.slice(0, index).some(([earlier]) => earlier === key),
  )
  const [key, value] = members[found] ?? []
  const isTwice = members.slice(0, Math.max(0, found)).some(([earlier]) => earlier === key)
  return {
    text: `{${members.map(([each, { text }]) => `${JSON.stringify(each)} : ${text}`).join(', ')}}`,
    members: members.length + sum(values),
    ...(found !== -1 && { duplicate: `.${key ?? ''}${isTwice ? '' : (value?.duplicate ?? '')}` }),
  }
}

describe('the structure of JSON', () => {
  test('is read without parsing: how many members there are, and which name comes twice', () => {
    fc.assert(
      fc.property(written, ({ text, members, duplicate }) => {
        const body = Buffer.from(text)
        expect(structureOf(body, 100)).toEqual({ members })
        expect(duplicateMember(body)).toBe(duplicate?.replace(/^\./, ''))
      }),
      { numRuns: 1000 },
    )
  })
})
