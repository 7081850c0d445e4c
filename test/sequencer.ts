/**
 * In which order Jest starts test files: those that mostly wait for a cluster first, so that the others have the processors meanwhile, and
 * large ones before small ones. It does not learn from earlier runs: a clean clone is as fast as any other.
 */
import { statSync } from 'node:fs'
import { sep } from 'node:path'

interface TestFile {
  readonly path: string
}

const WAITING = ['test', 'integration', ''].join(sep)

export default class Sequencer {
  sort<T extends TestFile>(tests: readonly T[]): T[] {
    const size = new Map(tests.map(({ path }) => [path, statSync(path).size]))
    const waits = ({ path }: TestFile) => (path.includes(WAITING) ? 1 : 0)
    return tests.toSorted((a, b) => waits(b) - waits(a) || (size.get(b.path) ?? 0) - (size.get(a.path) ?? 0))
  }

  /** The nth of `count` parts, for `jest --shard`. */
  shard<T extends TestFile>(
    tests: readonly T[],
    { shardIndex, shardCount }: { readonly shardIndex: number; readonly shardCount: number },
  ): T[] {
    return this.sort(tests).filter((_, index) => index % shardCount === shardIndex - 1)
  }

  allFailedTests<T extends TestFile>(tests: readonly T[]): T[] {
    return [...tests]
  }

  cacheResults(): void {
    // Nothing is remembered.
  }
}
