import { expect, test } from '@jest/globals'
import { BoundedSet } from './bounded-set.ts'

test('remembers the latest so many, each once', () => {
  const set = new BoundedSet(3)
  for (const text of ['a', 'b', 'b', 'c', 'd', 'd']) set.add(text)
  expect(['a', 'b', 'c', 'd'].filter((text) => set.has(text))).toEqual(['b', 'c', 'd'])
})
