/** Servers and clients from PyPI, each with its dependencies pinned in `python/`. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pythonWith } from '../python.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'

const run = promisify(execFile)
const FOLDER = join(import.meta.dirname, 'python')

/** Time enough to install one of them on a slow line. */
export const INSTALL_TIMEOUT_MS = 900_000

const PROGRAMS = ['dvc', 'hub', 'mlflow', 'moto'] as const

export type PythonProgram = (typeof PROGRAMS)[number]

/** Installs all of them. @throws CannotRunError when this machine cannot have them */
export async function installPython(): Promise<void> {
  for (const program of PROGRAMS) await pythonOf(program)
}

/** Path of the Python that has it. @throws CannotRunError when this machine cannot have one */
export function pythonOf(program: PythonProgram): Promise<string> {
  const requirements = join(FOLDER, `requirements-${program}.txt`)
  return pythonWith({ name: `sources-${program}`, requirements })
}

export interface Script {
  /** A file in `python/`, without its ending. */
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** What the script printed as JSON. @throws Error with what it complained of */
export async function runScript<Result>(python: string, { name, args, env = {} }: Script): Promise<Result> {
  const { stdout } = await run(python, ['-W', 'ignore', join(FOLDER, `${name}.py`), ...args], {
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout) as Result
}

/** S3 by moto. It keeps objects in memory, and checks no signature. */
export async function startMoto(): Promise<ServerProcess> {
  const python = await pythonOf('moto')
  return startServerProcess({
    command: (port) => [python, '-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
    readyPath: '/moto-api/',
  })
}
