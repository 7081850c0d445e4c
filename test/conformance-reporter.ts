/**
 * A reporter of Jest for what `npm test` runs on the sandbox and `npm run test:kube` on a real control plane: how many of the same tests
 * passed on which, in lines that can be laid side by side.
 */
import { join, relative } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Files of each suite that runs on both; test/kube/jest.config.js says the same. */
const SUITES = {
  'test/integration': /^test\/integration\//,
  'tests of the API': /^(sandbox\/apiserver\/(?!sandbox-only)[^/]+|operator\/kube\/[^/]*integration)\.test\.ts$/,
} as const

/** What Jest tells of one file. */
interface FileResult {
  readonly testFilePath: string
  /** The file itself could not be run. */
  readonly testExecError?: unknown
  readonly testResults: readonly { readonly status: string; readonly fullName: string }[]
}

interface Options {
  /** What the tests run on. */
  readonly place: string
}

export default class ConformanceReporter {
  readonly #place: string
  readonly #isFiltered: boolean

  constructor({ testNamePattern }: { readonly testNamePattern?: string }, { place }: Options) {
    this.#place = place
    this.#isFiltered = Boolean(testNamePattern)
  }

  onRunComplete(_contexts: unknown, { testResults }: { readonly testResults: readonly FileResult[] }): void {
    for (const [suite, files] of Object.entries(SUITES)) {
      const those = testResults.filter(({ testFilePath }) => files.test(relative(ROOT, testFilePath)))
      if (those.length > 0) process.stderr.write(`${suite} on ${this.#place}: ${this.#sum(those)}\n`)
    }
  }

  /** Those that Jest's `-t` left out are not skipped. */
  #sum(files: readonly FileResult[]): string {
    const tests = files.flatMap((file) => file.testResults)
    const of = (...statuses: readonly string[]) => tests.filter(({ status }) => statuses.includes(status))
    const broken = files.filter(({ testExecError }) => testExecError !== undefined && testExecError !== null)
    const counts = `${of('passed').length} passed, ${of('failed').length + broken.length} failed`
    const skipped = this.#isFiltered ? [] : of('pending', 'skipped', 'todo', 'disabled')
    return skipped.length === 0
      ? counts
      : `${counts}, ${skipped.length} skipped (${skipped.map(({ fullName }) => fullName).join('; ')})`
  }
}
