/**
 * In which order Jest starts test files: those of clusters first, which take longest, and large ones before small ones. Those that do little but wait
 * come one by one among them: together they would leave the processors idle. It does not learn from earlier runs: a clean clone is as fast as any other.
 */
import { statSync } from 'node:fs'
import { sep } from 'node:path'

interface TestFile {
  readonly path: string
}

const CLUSTERS = ['test', 'integration', ''].join(sep)
/** A minute or more each, for time to pass, or for what is tried again and again. */
const WAITING = ['parted', 'pods', 'trouble'].map((name) => `${CLUSTERS}${name}.test.ts`)
/** Of files of clusters, where one that waits is among them; about as many as there are workers. */
const EVERY = 4

export default class Sequencer {
  sort<T extends TestFile>(tests: readonly T[]): T[] {
    const size = new Map(tests.map(({ path }) => [path, statSync(path).size]))
    const bySize = tests.toSorted((a, b) => (size.get(b.path) ?? 0) - (size.get(a.path) ?? 0))
    const waits = ({ path }: TestFile) => WAITING.some((each) => path.endsWith(each))
    const clusters = bySize.filter((test) => test.path.includes(CLUSTERS) && !waits(test))
    for (const [index, test] of bySize.filter(waits).entries()) clusters.splice(index * EVERY, 0, test)
    return [...clusters, ...bySize.filter(({ path }) => !path.includes(CLUSTERS))]
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
