/** Programs of other people from PyPI: a virtual environment for each list of pinned requirements, made once and kept in the user's cache. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { CannotRunError } from './cannot-run.ts'

const run = promisify(execFile)
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

export interface PythonOptions {
  /** What is installed, in a word; part of the folder's name. */
  readonly name: string
  /** Path of a requirements.txt in which every version is fixed. */
  readonly requirements: string
}

/**
 * The path of a Python that has them.
 * @throws CannotRunError when this machine has none that could make an environment @throws Error with what installing them said
 */
export async function pythonWith({ name, requirements }: PythonOptions): Promise<string> {
  const pins = await readFile(requirements, 'utf8')
  const venv = cacheFolder(`${name}-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`)
  const python = join(venv, 'bin', 'python')
  if (await exists(join(venv, 'complete'))) return python
  try {
    await run('python3', ['-c', 'import venv, ensurepip'])
  } catch {
    throw new CannotRunError('python3 with venv and pip: apt-get install -y python3-venv')
  }
  console.log(`installing ${name} into ${venv}`)
  await mkdir(dirname(venv), { recursive: true })
  await rm(venv, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', venv])
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]
  await run(python, install, { maxBuffer: MAX_OUTPUT_BYTES })
  await writeFile(join(venv, 'complete'), '')
  return python
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
