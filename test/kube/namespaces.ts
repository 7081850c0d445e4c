/**
 * Runs a program where it has a network, processes and temporary files of its own: Linux namespaces, as containers have them.
 *
 * It promises that nothing is left, however the program or its caller ends, for the kernel takes all of it away with the first process
 * inside: sockets, addresses and routes, every process, and everything under the temporary directory.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CannotRunError } from '../cannot-run.ts'

export interface IsolatedOptions {
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** An empty directory; inside, it is the temporary one, in memory. Several runs may share it. */
  readonly temporary: string
}

const run = promisify(execFile)
const INTERRUPTED = 130

/** Resolves with its exit code. Ctrl-C and SIGTERM end it. @throws CannotRunError with the remedy when this machine does not allow it */
export async function runIsolated({ command, cwd, env, temporary }: IsolatedOptions): Promise<number> {
  await mkdir(temporary, { recursive: true })
  const flags = await namespaceFlags()
  const child = spawn('unshare', [...flags, '--', ...command], {
    cwd,
    env: { ...env, TMPDIR: temporary },
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  // The program watches its standard input: it ends with this process, also when this one is killed.
  const end = () => child.stdin?.end()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? INTERRUPTED))
  })
}

async function namespaceFlags(): Promise<string[]> {
  if (process.platform !== 'linux')
    throw new CannotRunError('network namespaces, which only Linux has: run it there or in a Linux container')
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation=private']
  // Whoever is not root may be root of a user namespace, if the machine allows those.
  if (process.getuid?.() !== 0) flags.unshift('--map-root-user')
  try {
    await run('unshare', [...flags, '--', 'ip', 'link', 'set', 'lo', 'up'])
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    throw new CannotRunError(
      `network namespaces for user ${process.getuid?.()} (${stderr.trim() || message}): run it as root, allow unprivileged user ` +
        'namespaces (sysctl user.max_user_namespaces), or give a container CAP_SYS_ADMIN; it needs unshare (util-linux) and ip (iproute2)',
    )
  }
  return flags
}

/** Called inside, first of all: gives `lo` whole networks of addresses, and the temporary directory memory. */
export async function furnish(networks: readonly string[], temporary: string): Promise<void> {
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'penstock', temporary])
  await run('ip', ['link', 'set', 'lo', 'up'])
  for (const network of networks) await run('ip', ['route', 'add', 'local', network, 'dev', 'lo'])
}
