import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { linesOf } from './lines.ts'

async function collect(chunks: Iterable<Buffer>, maxBytes = 1_000_000): Promise<string[]> {
  const lines: string[] = []
  for await (const line of linesOf(Readable.from(chunks, { objectMode: true }), maxBytes)) lines.push(line)
  return lines
}

describe('lines of a stream', () => {
  test('are the same wherever the bytes are cut, within characters too', async () => {
    const line = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => !text.includes('\n') && text.trim() !== '')
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat()), async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(''))
        const whole = bytes.toString('utf8').split('\n').slice(0, -1)
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
        expect(await collect(chunks)).toEqual(whole)
      }),
    )
  })

  test('what follows the last newline broke off and is none', async () => {
    expect(await collect([Buffer.from('{"a":1}\n{"b"')])).toEqual(['{"a":1}'])
  })

  test('a line without end is refused before it fills the memory', async () => {
    const endless = (function* () {
      for (;;) yield Buffer.alloc(1024, 'x')
    })()
    await expect(collect(endless, 10_000)).rejects.toMatchObject({ failure: 'too-large' })
  })

  test('a stream that breaks is a lost connection', async () => {
    const broken = (function* () {
      yield Buffer.from('{"a":1}\n')
      throw new Error('reset')
    })()
    await expect(collect(broken)).rejects.toMatchObject({ failure: 'connection' })
  })
})
