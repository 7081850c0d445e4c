import { createHash } from 'node:crypto'
import type { NodeContext } from '../node-context.ts'
import type { Container, Pod, Probe } from '../objects.ts'
import { ConfigError } from '../pod/config-source.ts'
import { environmentOf } from '../pod/environment.ts'
import { commandOf } from './command.ts'
import { ContainerRun, runFiles } from './container-run.ts'
import { LogFile } from './log-file.ts'

export interface Launch {
  readonly pod: Pod
  readonly container: Container
  readonly podIP: string
  readonly restartCount: number
  readonly onChange: () => void
  readonly onUnhealthy: (probe: Probe, kind: string) => void
}

export type Launched =
  | { readonly kind: 'running'; readonly run: ContainerRun }
  /** Nothing was created: an unknown image, a missing ConfigMap. */
  | { readonly kind: 'refused'; readonly reason: string; readonly message: string }
  /** The container was created, but its program could not be started. */
  | { readonly kind: 'unstartable'; readonly message: string }

/** Creates and starts a container, with the Events of a kubelet. Rejects when the API server cannot be asked. */
export async function launch(wanted: Launch, node: NodeContext): Promise<Launched> {
  const { pod, container } = wanted
  const image = container.image ?? ''
  const entrypoint = node.images[image]
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
    node.events.record(pod, { type, reason, message, container: container.name })
  if (entrypoint === undefined) return refuseImage(container, node, tell)
  try {
    const command = await prepare(wanted, entrypoint, node)
    tell('Normal', 'Pulled', `Container image "${image}" already present on machine`)
    tell('Normal', 'Created', `Created container: ${container.name}`)
    const run = await start(wanted, command, node)
    tell('Normal', 'Started', `Started container ${container.name}`)
    return { kind: 'running', run }
  } catch (error) {
    const message = (error as Error).message
    if (error instanceof StartError) {
      tell('Warning', 'Failed', `Error: ${message}`)
      return { kind: 'unstartable', message }
    }
    if (!(error instanceof ConfigError)) throw error
    tell('Warning', 'Failed', `Error: ${message}`)
    return { kind: 'refused', reason: 'CreateContainerConfigError', message }
  }
}

type Tell = (type: 'Normal' | 'Warning', reason: string, message: string) => void

class StartError extends Error {}

function refuseImage(container: Container, node: NodeContext, tell: Tell): Launched {
  const image = container.image ?? ''
  if (container.imagePullPolicy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`
    tell('Warning', 'ErrImageNeverPull', message)
    return { kind: 'refused', reason: 'ErrImageNeverPull', message }
  }
  const known = Object.keys(node.images)
    .map((each) => JSON.stringify(each))
    .join(', ')
  const message = `failed to pull image "${image}": not found: pods are local processes here, and no command is set for this image; those with one: ${known || 'none'}`
  tell('Normal', 'Pulling', `Pulling image "${image}"`)
  tell('Warning', 'Failed', message.replace('failed to pull', 'Failed to pull'))
  tell('Warning', 'Failed', 'Error: ErrImagePull')
  return { kind: 'refused', reason: 'ErrImagePull', message }
}

type Prepared = Awaited<ReturnType<typeof prepare>>

async function prepare(
  { pod, container, podIP, restartCount }: Launch,
  entrypoint: readonly string[],
  node: NodeContext,
) {
  const { directories } = node
  const { uid } = pod.metadata
  const base = {
    PATH: process.env.PATH ?? '',
    HOME: directories.home(uid),
    TMPDIR: directories.temporary(uid),
    PENSTOCK_HOST: podIP,
  }
  const addresses = { podIP, hostIP: node.hostIP }
  const environment = await environmentOf({ pod, container, addresses, config: node.config, base })
  const files = runFiles(directories.container(uid, container.name), restartCount)
  const command = await commandOf({ pod, container, directories, entrypoint, environment, base, ...files })
  return { ...command, ...files }
}

async function start(wanted: Launch, prepared: Prepared, node: NodeContext): Promise<ContainerRun> {
  const { pod, container, podIP, onChange, onUnhealthy } = wanted
  const { main, other, terminationLog } = prepared
  const log = new LogFile(prepared.log, node.maxLogBytes)
  const { ledger } = node
  const tell: Tell = (type, reason, message) =>
    node.events.record(pod, { type, reason, message, container: container.name })
  try {
    return await ContainerRun.start({
      container,
      main,
      other,
      podIP,
      ledger,
      log,
      terminationLog,
      tell,
      onChange,
      onUnhealthy,
    })
  } catch (error) {
    log.end()
    throw new StartError((error as Error).message)
  }
}

/** The id that an image is shown under: it changes with the command that the image stands for. */
export function imageIdOf(image: string, images: NodeContext['images']): string {
  const command = createHash('sha256')
    .update(JSON.stringify(images[image] ?? []))
    .digest('hex')
  return `process://${image}@sha256:${command}`
}
