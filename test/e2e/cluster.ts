/** A whole cluster of one node, of Kubernetes' own programs, in the namespaces that `main.ts` made. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findBinaries, findHelm, findNodeBinaries } from '../kube/binaries.ts'
import { startControlPlane } from '../kube/control-plane.ts'
import { note } from '../kube/figures.ts'
import { ADDRESSES, NODE_NAME } from './addresses.ts'
import { dnsObjects } from './dns-objects.ts'
import { toolAt, type Tool } from './tool.ts'
import { NODE_USERS, startNode } from './node.ts'
import { findCniPlugins, findProgram } from './requirements.ts'

export interface ClusterOptions {
  readonly dir: string
  /** Of all pods; see cgroups.ts. */
  readonly cgroup: string
  /** Archives of all images that pods may use. */
  readonly images: readonly string[]
}

export interface Cluster {
  /** Of an administrator. */
  readonly kubeconfigPath: string
  readonly kubectl: Tool
  readonly helm: Tool
  close(): Promise<void>
}

const NODE_READY_WITHIN = '180s'
const LOG_LINES = 40

/** Resolves once the Node is Ready and takes pods. What had started is stopped again when something does not. */
export async function startCluster({ dir, cgroup, images }: ClusterOptions): Promise<Cluster> {
  const startedAt = performance.now()
  await using starting = new AsyncDisposableStack()
  await mkdir(dir, { recursive: true })
  const binaries = await findBinaries()
  const plane = await startControlPlane({
    ...{ binaries, dir: join(dir, 'control-plane') },
    ...{ addresses: ADDRESSES, users: NODE_USERS },
  })
  starting.defer(() => plane.stop())
  // Their caches and settings are to be found in the home directory.
  const env = { KUBECONFIG: plane.kubeconfigPath, HOME: dir }
  const kubectl = toolAt(binaries.kubectl, env)
  await kubectl(['apply', '--filename=-'], JSON.stringify(dnsObjects()))
  const node = await startNode({
    ...{ binaries: await findNodeBinaries(), dir: join(dir, 'node'), plane, cgroup },
    ...{ cniPlugins: there('the CNI plugins', findCniPlugins()), runc: there('runc', findProgram('runc')) },
  })
  starting.defer(() => node.stop())
  for (const archive of images) await node.importImages(archive)
  for (const what of ['create', 'condition=Ready'])
    await kubectl(['wait', `node/${NODE_NAME}`, `--for=${what}`, `--timeout=${NODE_READY_WITHIN}`])
  await note('the node was ready after', startedAt)
  const running = starting.move()
  const { kubeconfigPath } = plane
  return { kubeconfigPath, kubectl, helm: toolAt(await findHelm(), env), close: () => running.disposeAsync() }
}

/** For whoever has to find out what went wrong: objects, events, and the end of every pod's log. */
export async function describeCluster(kubectl: Tool, namespaces: readonly string[]): Promise<string> {
  const ask = (...args: string[]) => kubectl(args).catch((error: Error) => error.message)
  const parts = namespaces.map(async (name) => {
    const here = `--namespace=${name}`
    const pods = (await ask('get', 'pods', here, '--output=name')).split('\n').filter((pod) => pod.startsWith('pod/'))
    const logs = pods.map((pod) => ask('logs', pod, here, '--all-containers', '--prefix', `--tail=${LOG_LINES}`))
    return [
      `-- ${name}`,
      await ask('get', 'modeldeployments,pods,services,endpointslices', here, '--output=wide'),
      await ask('get', 'modeldeployments', here, '--output=jsonpath={range .items[*]}{.status}{"\\n"}{end}'),
      await ask('get', 'events', here, '--sort-by=.metadata.creationTimestamp'),
      ...(await Promise.all(logs)),
    ].join('\n')
  })
  return (await Promise.all(parts)).join('\n')
}

function there(what: string, path: string | undefined): string {
  if (path === undefined) throw new Error(`${what}: not found, though they were when the tests began`)
  return path
}
