/** Inside the namespaces, as the first process: when it ends, the kernel ends every other. Started by `main.ts`. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LOCAL_NETWORKS } from './addresses.ts'
import { furnish } from './namespaces.ts'

const REPO = join(import.meta.dirname, '../..')
const INTERRUPTED = 130

interface Results {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
}

process.stdin.once('end', () => process.exit(INTERRUPTED)).resume()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(INTERRUPTED))

await furnish(LOCAL_NETWORKS, tmpdir())
const resultsPath = join(tmpdir(), 'results.json')
const code = await runJest(process.argv.slice(2), resultsPath)
if (!existsSync(resultsPath)) {
  console.error(`Jest ended with code ${code} and no results`)
  process.exit(1)
}
const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(resultsPath, 'utf8')) as Results
console.log(`on a real control plane: ${numPassedTests} passed, ${numFailedTests} failed`)
process.exit(code === 0 && numFailedTestSuites === 0 ? 0 : 1)

function runJest(args: readonly string[], outputFile: string): Promise<number> {
  const jest = join(REPO, 'node_modules/jest/bin/jest.js')
  const config = join(import.meta.dirname, 'jest.config.js')
  const flags = [
    '--experimental-vm-modules',
    '--no-warnings',
    jest,
    `--config=${config}`,
    '--json',
    `--outputFile=${outputFile}`,
  ]
  const child = spawn(process.execPath, [...flags, ...args], { cwd: REPO, stdio: ['ignore', 'ignore', 'inherit'] })
  return new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (status) => resolve(status ?? 1))
  })
}
