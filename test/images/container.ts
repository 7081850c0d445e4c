/**
 * Runs programs of an image as a strict cluster would: as the image's user, with no more rights than that user has, on a root file system
 * that nobody can write. The network is this machine's.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Buildah } from './buildah.ts'

export interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
  readonly Healthcheck: { readonly Test: readonly string[] }
}

interface RunOptions {
  /** Folders of this machine by where the program finds them; it may write there what its user may. */
  readonly volumes?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

export interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly process: ChildProcess
  readonly finished: Promise<Finished>
}

export interface Container {
  /** Where this machine sees the image's files. */
  readonly root: string
  readonly config: ImageConfig
  /** Starts the image's entrypoint. Its process is the program itself, so that signals reach it. */
  start(args: readonly string[], options?: RunOptions): Program
  /** Asks the image's health check. @returns its exit code */
  checkHealth(options?: RunOptions): Promise<number | null>
}

/** Files of the image come first; a mount of /dev would need more than programs here ask for. */
const ENTER = `set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t proc -o nosuid,nodev,noexec proc "$0/proc"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$0/tmp"
while [ "$1" != -- ]; do mount --bind "$2" "$0$1"; shift 2; done
shift; user=$1; shift
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$0" "$@"`

const MOUNT_POINTS = ['proc', 'tmp', 'models', 'kube']

export async function withContainer<T>(
  buildah: Buildah,
  image: string,
  use: (container: Container) => Promise<T>,
): Promise<T> {
  const name = await buildah(['from', '--pull-never', image])
  try {
    const root = await buildah(['mount', name])
    for (const folder of MOUNT_POINTS) await mkdir(join(root, folder), { recursive: true })
    return await use(containerAt(root, await imageConfig(buildah, image)))
  } finally {
    await buildah(['rm', name])
  }
}

export async function imageConfig(buildah: Buildah, image: string): Promise<ImageConfig> {
  const { Docker } = JSON.parse(await buildah(['inspect', '--type', 'image', image])) as {
    Docker: { config: ImageConfig }
  }
  return Docker.config
}

function containerAt(root: string, config: ImageConfig): Container {
  const launch = (command: readonly string[], { volumes = {}, env = {} }: RunOptions = {}): Program => {
    const enter = [root, ...Object.entries(volumes).flat(), '--', config.User, ...command]
    const child = spawn('unshare', ['--mount', '--propagation=private', 'sh', '-c', ENTER, ...enter], {
      // As runc does for a user that the image does not list.
      env: { HOME: '/', ...Object.fromEntries(config.Env.map(pair)), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return { process: child, finished: outcomeOf(child) }
  }
  return {
    root,
    config,
    start: (args, options) => launch([...config.Entrypoint, ...args], options),
    checkHealth: async (options) => {
      const [how, ...command] = config.Healthcheck.Test
      if (how !== 'CMD') throw new Error(`the health check needs a shell: ${how}`)
      return (await launch(command, options).finished).status
    },
  }
}

function pair(text: string): [string, string] {
  const equals = text.indexOf('=')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

async function outcomeOf(child: ChildProcess): Promise<Finished> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout, stderr }
}
