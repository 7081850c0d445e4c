import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, describe, expect, test } from '@jest/globals'
import { PARQUET_CODECS } from './parquet-codecs.ts'
import { readSample } from './sample-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'penstock-sample-'))
afterAll(() => rmSync(dir, { recursive: true }))

function file(name: string, content: string): string {
  const path = join(dir, name)
  writeFileSync(path, content)
  return path
}

const EXPECTED = [
  { name: 'age', cells: [31, null, 45.5] },
  { name: 'city', cells: ['Rome, Italy', 'Oslo', null] },
  { name: 'member', cells: [true, false, true] },
]

describe('a sample', () => {
  test.each([
    ['CSV', 'a.csv', '\uFEFFage,city,member\r\n31,"Rome, Italy",true\r\n,Oslo,false\r\n45.5,NA,True\r\n'],
    [
      'JSON Lines',
      'a.jsonl',
      '{"age":31,"city":"Rome, Italy","member":true}\n\n{"city":"Oslo","member":false}\n{"age":45.5,"city":null,"member":true}\n',
    ],
  ])('is read from %s', async (_, name, content) => {
    expect(await readSample({ path: file(name, content), maxRows: 100 })).toEqual(EXPECTED)
  })

  // Made by pandas: DataFrame({"age": [31, None, 45.5], "city": [...], "member": [...]}).to_parquet("sample.parquet").
  test('is read from Parquet', async () => {
    const path = join(import.meta.dirname, 'testdata/sample.parquet')
    expect(await readSample({ path, maxRows: 100 })).toEqual(EXPECTED)
    expect(await readSample({ path, maxRows: 1, columns: ['city'] })).toEqual([
      { name: 'city', cells: ['Rome, Italy'] },
    ])
  })

  test.each(['gzip', 'zstd', 'brotli'])('is read from Parquet that is compressed by %s', async (codec) => {
    const path = join(import.meta.dirname, `testdata/sample-${codec}.parquet`)
    expect(await readSample({ path, maxRows: 100 })).toEqual(EXPECTED)
  })

  test('that is compressed by LZ4 is refused, saying how to write it', async () => {
    const path = join(import.meta.dirname, 'testdata/sample-lz4.parquet')
    await expect(readSample({ path, maxRows: 100 })).rejects.toThrow('compressed by LZ4; write it with snappy, gzip')
  })

  test.each([
    ['GZIP', gzipSync],
    ['BROTLI', brotliCompressSync],
    ['ZSTD', zstdCompressSync],
  ] as const)('in %s pages that become larger than they say is refused', (codec, compress) => {
    const bytes = compress(Buffer.alloc(1_000_000))
    expect(PARQUET_CODECS[codec]?.(bytes, 1_000_000)).toHaveLength(1_000_000)
    expect(() => PARQUET_CODECS[codec]?.(bytes, 1000)).toThrow('larger than')
  })

  test('is read up to so many rows, and only the columns that are wanted, in their order', async () => {
    const path = file('b.csv', 'a,b,c\n1,2,x\n3,4,y\n5,6,z\n')
    expect(await readSample({ path, maxRows: 2, columns: ['c', 'a'] })).toEqual([
      { name: 'c', cells: ['x', 'y'] },
      { name: 'a', cells: [1, 3] },
    ])
  })

  test.each([
    ['an unknown ending', 'a.txt', 'a\n1\n', 'It cannot be told what'],
    ['a column twice', 'c.csv', 'a,a\n1,2\n', 'column "a" is there twice'],
    ['no rows', 'd.csv', 'a,b\n', 'it has no rows'],
    ['ragged lines', 'e.csv', 'a,b\n1,2\n3\n', 'line 3'],
    ['a line that is no JSON', 'f.jsonl', '{"a":1}\n{"a":\n', 'line 2 is not JSON'],
    ['a line that is no object', 'g.jsonl', '[1]\n', 'line 1 must be a JSON object'],
    ['lists in cells', 'h.jsonl', '{"a":[1]}\n', 'line 1, a must be a number'],
    ['no Parquet in it', 'i.parquet', 'not parquet at all', 'cannot be used as a sample'],
  ])('with %s is refused, saying where', async (_, name, content, message) => {
    await expect(readSample({ path: file(name, content), maxRows: 100 })).rejects.toThrow(message)
  })

  test('without a wanted column is refused by its name', async () => {
    const path = file('j.csv', 'a\n1\n')
    await expect(readSample({ path, maxRows: 9, columns: ['b'] })).rejects.toThrow('column "b" is missing; there are a')
  })

  test.each(['csv', 'jsonl', 'parquet'])('that is not there is refused: .%s', async (extension) => {
    await expect(readSample({ path: join(dir, `gone.${extension}`), maxRows: 9 })).rejects.toThrow('ENOENT')
  })
})
