import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { useCached } from './cache.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'penstock-cache-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('what is used stays with what was used last, and other kinds are left alone', async () => {
  for (const [name, usedAt] of Object.entries({ 'a-1': 1, 'a-2': 30, 'a-3': 20, 'a-4.123': 10, b: 1 })) {
    mkdirSync(join(directory, name, 'full'), { recursive: true })
    utimesSync(join(directory, name), usedAt, usedAt)
  }
  await useCached(join(directory, 'a-1'), /^a-/, 2)
  expect(readdirSync(directory).sort()).toEqual(['a-1', 'a-2', 'b'])
})
