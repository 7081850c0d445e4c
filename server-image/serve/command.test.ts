import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'

function serve(nodeFlags: readonly string[], ...flags: string[]) {
  return serveWith({}, nodeFlags, ...flags)
}

function serveWith(env: Readonly<Record<string, string>>, nodeFlags: readonly string[], ...flags: string[]) {
  const main = join(import.meta.dirname, '../main.ts')
  const args = [...nodeFlags, '--no-warnings', main, 'serve', ...flags]
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, COLUMNS: '200', ...env } })
}

describe('the room for requests', () => {
  test('is less where the heap is small', () => {
    const { stdout } = serve(['--max-old-space-size=512'], '--help')
    const mib = Number(/--max-inflight-body-mib[^]*?\(default: (\d+)\)/.exec(stdout)?.[1])
    expect(mib).toBeGreaterThanOrEqual(64)
    expect(mib).toBeLessThan(128)
  })

  test('must be enough for one request, or the server says what to change', () => {
    const { status, stdout } = serve([], '--max-inflight-body-mib=1', '--max-body-bytes=2000000')
    expect([status, stdout]).toEqual([
      1,
      expect.stringContaining('--max-inflight-body-mib=1 must have room for a request of --max-body-bytes=2000000.'),
    ])
  })
})

describe('how ONNX Runtime computes', () => {
  test.each<[string, Readonly<Record<string, string>>, readonly string[], string]>([
    ['a mode that there is not', {}, ['--execution-mode=both'], 'Allowed choices are sequential, parallel'],
    ['no thread', {}, ['--inter-op-threads=0'], '--inter-op-threads'],
    ['a mode of the environment that there is not', { PENSTOCK_EXECUTION_MODE: 'both' }, [], 'PENSTOCK_EXECUTION_MODE'],
    ['threads of the environment that are no number', { PENSTOCK_INTRA_OP_THREADS: 'all' }, [], 'PENSTOCK_INTRA_OP'],
    [
      'threads that would stand idle',
      { PENSTOCK_INTER_OP_THREADS: '4' },
      [],
      '--inter-op-threads=4 is of use with --execution-mode=parallel only',
    ],
  ])('%s is refused', (_what, env, flags, words) => {
    const { status, stdout, stderr } = serveWith(env, [], ...flags)
    expect([status, stdout + stderr]).toEqual([1, expect.stringContaining(words)])
  })

  test('is told by --help', () => {
    const help = serve([], '--help').stdout.replaceAll(/\s+/g, ' ')
    expect(help).toMatch(
      /--execution-mode <mode> [^(]+\(choices: "sequential", "parallel", default: "sequential", env:/,
    )
    expect(help).toMatch(/--intra-op-threads <count> [^(]+\(default: 1, env: PENSTOCK_INTRA_OP_THREADS\)/)
    expect(help).toMatch(/--inter-op-threads <count> [^(]+\(env: PENSTOCK_INTER_OP_THREADS\)/)
  })
})
