import { copyFile, mkdir, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Container, Pod, VolumeMount } from '../objects.ts'
import { ConfigError } from '../pod/config-source.ts'
import { expand } from '../pod/expand.ts'
import { pathRewriter } from '../pod/mount-paths.ts'
import type { Mount } from '../pod/mount-paths.ts'
import type { Directories } from '../volumes/directories.ts'
import { hasPayload } from '../volumes/payload.ts'
import { volumePath } from '../volumes/set-up.ts'
import type { Command } from './local-process.ts'

export interface CommandContext {
  readonly pod: Pod
  readonly container: Container
  readonly directories: Directories
  /** What the image runs. */
  readonly entrypoint: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  /** Variables that already speak of this machine. */
  readonly base: Readonly<Record<string, string>>
  readonly terminationLog: string
}

export const DEFAULT_TERMINATION_LOG = '/dev/termination-log'

export interface ContainerCommand {
  readonly main: Command
  /** Another program in the same surroundings: exec probes and hooks. */
  readonly other: (argv: readonly string[]) => Command
}

/**
 * The command line of a container: `command` replaces what the image runs, `args` follow; `$(NAME)` is expanded; mounted paths in
 * `command`, `args`, the environment and `workingDir` become paths of this machine.
 */
export async function commandOf(context: CommandContext): Promise<ContainerCommand> {
  const { pod, container, directories, environment } = context
  const mounts = await mountsOf(context)
  const rewrite = pathRewriter(mounts)
  const expanded = (text: string): string => rewrite(expand(text, (name) => environment.get(name)))
  const program = container.command?.map(expanded) ?? context.entrypoint
  const home = directories.home(pod.metadata.uid)
  const workingDir = container.workingDir === undefined ? home : rewrite(container.workingDir)
  const isDirectory = (await stat(workingDir).catch(() => undefined))?.isDirectory() === true
  const surroundings = {
    environment: new Map(
      [...environment].map(([name, value]) => [name, value === context.base[name] ? value : rewrite(value)]),
    ),
    directory: isDirectory ? workingDir : home,
  }
  return {
    main: { argv: [...program, ...(container.args ?? []).map(expanded)], ...surroundings },
    other: (argv) => ({ argv: argv.map(rewrite), ...surroundings }),
  }
}

async function mountsOf(context: CommandContext): Promise<Mount[]> {
  const { container, terminationLog } = context
  const mountPath = container.terminationMessagePath ?? DEFAULT_TERMINATION_LOG
  const mounts: Mount[] = [{ mountPath, hostPath: terminationLog }]
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    mounts.push({ mountPath: mount.mountPath, hostPath: await hostPathOf(mount, index, context) })
  }
  return mounts
}

async function hostPathOf(mount: VolumeMount, index: number, context: CommandContext): Promise<string> {
  const { pod, container, directories, environment } = context
  const volume = pod.spec.volumes?.find(({ name }) => name === mount.name)
  if (volume === undefined) throw new ConfigError(`volumeMounts: there is no volume ${JSON.stringify(mount.name)}`)
  const whole = volumePath(pod, volume, directories)
  const subPath = mount.subPath ?? (mount.subPathExpr && expand(mount.subPathExpr, (name) => environment.get(name)))
  if (!subPath) return whole
  if (subPath.split('/').includes('..')) throw new ConfigError(`subPath ${JSON.stringify(subPath)} leaves its volume`)
  const inside = join(whole, subPath)
  if (hasPayload(volume)) {
    return frozenCopy(inside, join(directories.container(pod.metadata.uid, container.name), `subpath-${index}`))
  }
  if ((await stat(inside).catch(() => undefined)) === undefined) await mkdir(inside, { recursive: true })
  return inside
}

/** A subPath of a ConfigMap or Secret stays as it was when the container started. */
async function frozenCopy(from: string, to: string): Promise<string> {
  const source = await realpath(from).catch(() => undefined)
  await rm(to, { recursive: true, force: true })
  await mkdir(dirname(to), { recursive: true })
  if (source !== undefined && (await stat(source)).isFile()) await copyFile(source, to)
  return to
}
