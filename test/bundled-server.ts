/**
 * The server as its image has it, which pods of tests and of the operator's benchmark run: it starts with less work than from source.
 * Jest makes it before the tests, by `globalSetup`.
 */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fromBundle } from '../sandbox/programs.ts'
import { useCached } from './cache.ts'

const BUNDLES = join(import.meta.dirname, '../node_modules/.cache/penstock/bundles')
/** Where Jest's workers learn which it is. */
const VARIABLE = 'PENSTOCK_BUNDLED_SERVER'
const ANY = /^/
const KEPT = 5

/** Its command, for the sandbox's images. @throws Error before it is made */
export function bundledServer(): readonly string[] {
  const main = process.env[VARIABLE]
  if (main === undefined) throw new Error(`No server was bundled; run the tests with \`npm test\`.`)
  return fromBundle(main)
}

/** Bundles have the name of their content: a run never changes what another one uses, and Node finds what it compiled before. */
export default async function makeBundledServer(): Promise<void> {
  const { bundleProgram } = await import('../scripts/program-bundle.ts')
  await mkdir(BUNDLES, { recursive: true })
  const made = await mkdtemp(join(BUNDLES, 'new-'))
  await bundleProgram('server', made)
  const hash = createHash('sha256')
  for (const file of globSync('**/*.{mjs,json}', { cwd: made }).sort())
    hash.update(`${file}\0`).update(readFileSync(join(made, file)))
  const bundle = join(BUNDLES, hash.digest('hex').slice(0, 16))
  try {
    await rename(made, bundle)
  } catch (error) {
    if (!existsSync(bundle)) throw error
    await rm(made, { recursive: true })
  }
  await useCached(bundle, ANY, KEPT)
  process.env[VARIABLE] = join(bundle, 'dist/server/main.mjs')
}
