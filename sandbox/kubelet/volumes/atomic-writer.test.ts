import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { mkdtemp, readFile, readdir, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeAtomically } from './atomic-writer.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'volume-'))
})
afterEach(() => rm(directory, { recursive: true }))

function payload(files: Record<string, string>, mode = 0o644) {
  return new Map(Object.entries(files).map(([path, text]) => [path, { content: Buffer.from(text), mode }]))
}

const visible = async () => (await readdir(directory)).filter((name) => !name.startsWith('..')).sort()
const read = (name: string) => readFile(join(directory, name), 'utf8')

describe('writeAtomically', () => {
  test('shows files through ..data, nested ones too, with their mode', async () => {
    expect(await writeAtomically(directory, payload({ a: '1', 'b/c': '2' }, 0o600))).toBe(true)
    expect(await visible()).toEqual(['a', 'b'])
    expect(await readlink(join(directory, 'a'))).toBe('..data/a')
    expect([await read('a'), await read('b/c')]).toEqual(['1', '2'])
    expect((await stat(join(directory, 'a'))).mode & 0o777).toBe(0o600)
  })

  test('an update replaces, adds and removes files, and leaves one version', async () => {
    await writeAtomically(directory, payload({ a: '1', gone: 'x' }))
    const before = await readlink(join(directory, '..data'))
    expect(await writeAtomically(directory, payload({ a: '2', fresh: '3' }))).toBe(true)
    expect(await visible()).toEqual(['a', 'fresh'])
    expect([await read('a'), await read('fresh')]).toEqual(['2', '3'])
    const hidden = (await readdir(directory)).filter((name) => name.startsWith('..'))
    expect(hidden).toHaveLength(2)
    expect(hidden).not.toContain(before)
  })

  test('the same files again change nothing', async () => {
    await writeAtomically(directory, payload({ a: '1' }))
    const before = await readlink(join(directory, '..data'))
    expect(await writeAtomically(directory, payload({ a: '1' }))).toBe(false)
    expect(await readlink(join(directory, '..data'))).toBe(before)
  })

  test('no files at all is a version, too', async () => {
    await writeAtomically(directory, payload({}))
    expect(await visible()).toEqual([])
    expect(await writeAtomically(directory, payload({ late: '1' }))).toBe(true)
    expect(await read('late')).toBe('1')
  })
})
