import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from '@jest/globals'
import { BodyBudget } from '../http/body-budget.ts'
import { CountedBody } from './counted-body.ts'
import { framed, message } from './testing.ts'

const MIB = 1024 * 1024

/** What one collection finds is given back in the background, and is certainly gone at the next one. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let times = 0; times < 3; times += 1) collect()
}

/** A byte at a time, each at the end of all that was read from the socket with it, as Node has them. */
async function* crumbs(bytes: Uint8Array, beforeLast: () => void): AsyncIterable<Uint8Array> {
  for (const [at, byte] of bytes.entries()) {
    if (at === bytes.length - 1) beforeLast()
    await Promise.resolve()
    yield Buffer.alloc(MIB, byte).subarray(-1)
  }
}

test('a message in crumbs takes no more memory than it has bytes, and is what was sent', async () => {
  collectGarbage()
  const before = process.memoryUsage().arrayBuffers
  let grown = Infinity
  const source = crumbs(framed(message), () => {
    collectGarbage()
    grown = process.memoryUsage().arrayBuffers - before
  })
  const read: Uint8Array[] = []
  for await (const all of new CountedBody(new BodyBudget(MIB)).whole(source, MIB)) read.push(all)
  expect(read).toEqual([framed(message)])
  expect(grown).toBeLessThan((message.length * MIB) / 2)
})
