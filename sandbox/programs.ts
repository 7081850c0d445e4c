/** The project's own programs as they run here: by a Node that remembers what it compiled. */
import { dirname, join } from 'node:path'

/** The server's image, by the name that pods have it under here. */
export const SERVER_IMAGE = 'penstock/server:dev'

const ROOT = join(import.meta.dirname, '..')
/** Sources are found there by their content, so an edit is seen at once. Half of a program's start, and two thirds of its work then, are spared. */
export const COMPILED = join(ROOT, 'node_modules', '.cache', 'penstock', 'compiled')

/** Their process is that of Node, which takes the place of `env`. */
const node = (compiled: string) => ['/usr/bin/env', `NODE_COMPILE_CACHE=${compiled}`, process.execPath] as const

/** Arguments that run one of the project's programs from source; more may follow. */
export function ourProgram(main: 'operator' | 'server-image'): readonly [string, ...string[]] {
  return [...node(COMPILED), `--import=${join(import.meta.dirname, 'quick-start.ts')}`, join(ROOT, main, 'main.ts')]
}

/** The same for one that was bundled; what is compiled of it stays with it. @param main its file */
export function fromBundle(main: string): readonly [string, ...string[]] {
  return [...node(join(dirname(main), 'compiled')), main]
}
