/** The project's own programs as they run here: by a Node that remembers what it compiled. */
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** Sources are found there by their content, so an edit is seen at once. Half of a program's start, and two thirds of its work then, are spared. */
export const COMPILED = join(ROOT, 'node_modules', '.cache', 'penstock', 'compiled')

/** Its process is that of Node, which takes the place of `env`. */
const NODE = ['/usr/bin/env', `NODE_COMPILE_CACHE=${COMPILED}`, process.execPath] as const

/** Arguments that run one of the project's programs from source; more may follow. */
export function ourProgram(main: 'operator' | 'server-image'): readonly [string, ...string[]] {
  return [...NODE, `--import=${join(import.meta.dirname, 'quick-start.ts')}`, join(ROOT, main, 'main.ts')]
}

/** The same for one that was bundled. @param main its file */
export function fromBundle(main: string): readonly [string, ...string[]] {
  return [...NODE, main]
}
