/** Builds a program of a Go module, as releases are built: without paths of this machine, symbols and C. */
import { spawn } from 'node:child_process'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CannotRunError, isNoProgram } from './cannot-run.ts'

export interface GoProgram {
  /** Folder of the module whose go.mod and go.sum fix every version and hash. */
  readonly module: string
  readonly goPackage: string
  /** Of the linker, besides those that take the symbols out. */
  readonly linkerFlags?: string
}

const MAX_WORDS = 4_000

/**
 * Makes `path`, which appears only once it is whole: an interrupted build leaves nothing that looks finished.
 * @throws CannotRunError when there is no Go @throws Error with the end of what Go said
 */
export async function buildGoProgram({ module, goPackage, linkerFlags = '' }: GoProgram, path: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`
  const flags = ['-mod=readonly', '-trimpath', '-ldflags', `-s -w ${linkerFlags}`.trim()]
  await mkdir(dirname(path), { recursive: true })
  try {
    await go(['build', ...flags, '-o', partial, goPackage], module)
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
}

async function go(args: readonly string[], cwd: string): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' }
  const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-MAX_WORDS)))
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(isNoProgram(error) ? new CannotRunError('Go, to build programs with: install Go 1.26') : error),
    )
    child.once('close', (status) => resolve(status ?? 1))
  })
  if (code !== 0) throw new Error(`go ${args.join(' ')} failed:\n${said}`)
}
