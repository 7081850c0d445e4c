/** Suites that need more than Node, started where programs are missing, or there but failing. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CANNOT_RUN, isNoProgram } from './cannot-run.ts'
import { writePrograms } from './script-programs.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'penstock-cannot-run-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Runs a suite with nothing on its PATH but `programs`, and with an empty cache. */
async function run(suite: string, programs: Readonly<Record<string, string>>) {
  const path = await writePrograms(mkdtempSync(join(dir, 'path-')), programs)
  const cache = mkdtempSync(join(dir, 'cache-'))
  const env = { PATH: path, HOME: cache, XDG_CACHE_HOME: cache, PENSTOCK_KUBE_CACHE: join(cache, 'kube') }
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, suite, 'main.ts')], {
    env,
    encoding: 'utf8',
  })
  return { status, stderr }
}

const MISMATCH = 'verifying module: checksum mismatch'
const failing = (what: string) => `echo "${what}" >&2; exit 1`
/** Can make environments, into which nothing can be installed. */
const PYTHON = `case "$1" in -c) exit 0;; esac\n${failing('No matching distribution found')}`

describe('a suite exits with 77', () => {
  test.each([
    ['kube', 'install Go'],
    ['chart', 'install Go'],
    ['sources', 'install Go'],
    ['clients', 'python3-venv'],
    ['monitoring', 'python3-venv'],
    ['images', 'buildah'],
    ['e2e', ''],
  ])('%s, where a program is missing, and names it', async (suite, named) => {
    const { status, stderr } = await run(suite, {})
    expect([status, stderr]).toEqual([CANNOT_RUN, expect.stringContaining('SKIPPED: ')])
    expect(stderr).toContain(named)
  })
})

describe('a suite exits with 1', () => {
  test.each(['kube', 'chart', 'sources'])('%s, where a build fails, and says why', async (suite) => {
    const { status, stderr } = await run(suite, { go: failing(MISMATCH) })
    expect([status, stderr]).toEqual([1, expect.stringContaining(MISMATCH)])
    expect(stderr).not.toContain('SKIPPED')
  })

  test.each(['clients', 'monitoring'])('%s, where an installation fails, and says why', async (suite) => {
    const { status, stderr } = await run(suite, { python3: PYTHON })
    expect([status, stderr]).toEqual([1, expect.stringContaining('No matching distribution found')])
  })
})

test('a file that is missing is no program that is missing', () => {
  expect(isNoProgram(spawnSync(join(dir, 'nothing')).error)).toBe(true)
  expect(isNoProgram(Object.assign(new Error('no file'), { code: 'ENOENT', syscall: 'copyfile' }))).toBe(false)
})
