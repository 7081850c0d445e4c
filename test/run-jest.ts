/** Runs the tests of one folder of `test/` that need more than Node: by its own Jest configuration, with what the machine gave. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Exit code. Not failed, but not run either: this machine lacks something. The Automake convention for skipped tests. */
export const CANNOT_RUN = 77

/** Arguments of this process go to Jest. @returns the exit code */
export function runJest(folder: string, env: Readonly<Record<string, string>> = {}): number {
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  const args = ['--experimental-vm-modules', '--no-warnings', jest, `--config=test/${folder}/jest.config.js`]
  const { status } = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  return status ?? 1
}
