/** The project's own programs as they run here: from source, by a Node that remembers what it compiled. */
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** Sources are found there by their content, so an edit is seen at once. Half of a program's start, and two thirds of its work then, are spared. */
export const COMPILED = join(ROOT, 'node_modules', '.cache', 'penstock', 'compiled')

/** Arguments that run one of the project's programs; more may follow. Its process is that of Node, which takes the place of `env`. */
export function ourProgram(main: 'operator' | 'server-image'): readonly [string, ...string[]] {
  const node = [process.execPath, `--import=${join(import.meta.dirname, 'quick-start.ts')}`]
  return ['/usr/bin/env', `NODE_COMPILE_CACHE=${COMPILED}`, ...node, join(ROOT, main, 'main.ts')]
}
