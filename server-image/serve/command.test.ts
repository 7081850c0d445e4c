import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'

function serve(nodeFlags: readonly string[], ...flags: string[]) {
  const main = join(import.meta.dirname, '../main.ts')
  const args = [...nodeFlags, '--no-warnings', main, 'serve', ...flags]
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, COLUMNS: '200' } })
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
