/** Runs the tests of one folder of `test/` that need more than Node: by its own Jest configuration, with what the machine gave. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** A program that runs another where its mounts are its own: they end with its last process, however that ends. */
export const OWN_MOUNTS = ['unshare', '--mount', '--propagation=private', '--']

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What runs Node: a program and its arguments. */
  readonly through?: readonly string[]
}

/** Arguments of this process go to Jest. @returns the exit code */
export function runJest(folder: string, { env = {}, through = [] }: RunOptions = {}): number {
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  const flags = ['--experimental-vm-modules', '--no-warnings', jest, `--config=test/${folder}/jest.config.js`]
  const [command = process.execPath, ...args] = [...through, process.execPath, ...flags, ...process.argv.slice(2)]
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  return status ?? 1
}
