/** What the first process in the namespaces does: when it ends, the kernel ends every other. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { summary } from './figures.ts'

const REPO = join(import.meta.dirname, '../..')
const INTERRUPTED = 130

interface Results {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
}

export interface Tests {
  /** Makes the place ready; the temporary directory is its business as well. */
  readonly furnish: () => Promise<void>
  /** Jest's configuration. */
  readonly config: string
  /** For the last line: what the tests ran on. */
  readonly place: string
}

/** Runs the tests, with this process's arguments for Jest, and exits; so it does as soon as the process outside ends or is interrupted. */
export async function runTestsAndExit({ furnish, config, place }: Tests): Promise<never> {
  process.stdin.once('end', () => process.exit(INTERRUPTED)).resume()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(INTERRUPTED))
  await furnish()
  const resultsPath = join(tmpdir(), 'results.json')
  const startedAt = performance.now()
  const code = await runJest(config, process.argv.slice(2), resultsPath)
  if (!existsSync(resultsPath)) {
    console.error(`Jest ended with code ${code} and no results`)
    process.exit(1)
  }
  const results = JSON.parse(readFileSync(resultsPath, 'utf8')) as Results
  for (const line of await summary()) console.log(line)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  console.log(`on ${place}, in ${seconds} s: ${results.numPassedTests} passed, ${results.numFailedTests} failed`)
  process.exit(code === 0 && results.numFailedTestSuites === 0 ? 0 : 1)
}

function runJest(config: string, args: readonly string[], outputFile: string): Promise<number> {
  const jest = join(REPO, 'node_modules/jest/bin/jest.js')
  const flags = ['--experimental-vm-modules', '--no-warnings', jest, `--config=${config}`]
  const child = spawn(process.execPath, [...flags, '--json', `--outputFile=${outputFile}`, ...args], {
    cwd: REPO,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (status) => resolve(status ?? 1))
  })
}
