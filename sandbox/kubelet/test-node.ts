import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { createClient } from '../../operator/kube/client.ts'
import type { Client } from '../../operator/kube/client.ts'
import { isNotFound } from '../../operator/kube/errors.ts'
import { createTransport } from '../../operator/kube/transport.ts'
import { startApiServer } from '../apiserver/apiserver.ts'
import type { ApiServer, ApiServerOptions } from '../apiserver/apiserver.ts'
import { loopbackAddresses } from './addresses.ts'
import { startKubelet } from './kubelet.ts'
import type { Kubelet, KubeletOptions } from './kubelet.ts'
import type { ConfigMap, Container, Pod, PodSpec } from './objects.ts'
import { CONFIG_MAPS, CORE_EVENTS, PODS } from './resources.ts'

/** An API server with one node, for tests: real HTTP, real processes. */
export interface TestNode {
  readonly client: Client
  readonly slot: number
  readonly rootDir: string
  /** Verb, resource and subresource of every request, in order. */
  readonly requests: readonly string[]
  kubelet: Kubelet
  /** Closes the kubelet and starts another one on the same directory. */
  restart(options?: Partial<KubeletOptions>): Promise<void>
  /** Creates a pod on the node. */
  run(name: string, spec: Partial<PodSpec> & { containers: Container[] }): Promise<Pod>
  pod(name: string): Promise<Pod>
  remove(name: string, gracePeriodSeconds?: number): Promise<void>
  /** `reason: message` of the pod's events. */
  events(name: string): Promise<string[]>
  logs(name: string, options?: Parameters<Kubelet['logs']>[2]): Promise<string>
  close(): Promise<void>
}

const NAMESPACE = 'default'
const NODE_NAME = 'test-node'

export async function startTestNode(options: Partial<KubeletOptions> = {}): Promise<TestNode> {
  const requests: string[] = []
  const onRequest: ApiServerOptions['onRequest'] = (request) =>
    void requests.push(`${request.verb} ${request.resource} ${request.subresource}`.trim())
  const { api, slot } = await apiServerOnAFreeSlot({ onRequest })
  const config = new KubeConfig()
  config.loadFromString(JSON.stringify(api.kubeconfig()))
  const transport = createTransport(config)
  const client = createClient(transport)
  const rootDir = await mkdtemp(join(tmpdir(), 'kubelet-'))
  const addresses = loopbackAddresses(slot)
  const images = { node: [process.execPath] }
  const base: KubeletOptions = { client, nodeName: NODE_NAME, rootDir, images, addresses, schedule: false }
  const startWith = (more: Partial<KubeletOptions>) => startKubelet({ ...base, ...options, ...more })
  const node: TestNode = {
    client,
    slot,
    rootDir,
    requests,
    kubelet: await startWith({}),
    async restart(more = {}) {
      await node.kubelet.close()
      node.kubelet = await startWith(more)
    },
    run: (name, spec) =>
      client.create(PODS, { metadata: { name, namespace: NAMESPACE }, spec: { nodeName: NODE_NAME, ...spec } } as Pod),
    pod: (name) => client.get(PODS, { namespace: NAMESPACE, name }),
    remove: (name, gracePeriodSeconds) =>
      client.delete(
        PODS,
        { namespace: NAMESPACE, name },
        gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds },
      ),
    async events(name) {
      const { items } = await client.list(CORE_EVENTS, { namespace: NAMESPACE })
      const own = items.filter(({ involvedObject }) => (involvedObject as { name?: string }).name === name)
      return own.map(({ reason, message }) => `${reason}: ${message}`)
    },
    async logs(name, logOptions) {
      const chunks: Uint8Array[] = []
      for await (const chunk of node.kubelet.logs(NAMESPACE, name, logOptions)) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    },
    async close() {
      await node.kubelet.close()
      transport.close()
      await api.close()
      await rm(rootDir, { recursive: true, force: true })
    },
  }
  return node
}

/** The API server's own port is the lock on a slot of loopback addresses. */
async function apiServerOnAFreeSlot(options: Partial<ApiServerOptions>): Promise<{ api: ApiServer; slot: number }> {
  const first = Math.floor(Math.random() * 235)
  for (let tries = 0; tries < 235; tries++) {
    const slot = 16 + ((first + tries) % 235)
    try {
      return { api: await startApiServer({ host: `127.${slot}.0.1`, port: 6443, ...options }), slot }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error('no free slot of loopback addresses')
}

/** A container that runs a script. Arguments are `process.argv[1]` and up. */
export function script(source: string, more: Partial<Container> = {}): Container {
  const { args = [], ...rest } = more
  return { name: 'main', image: 'node', ...rest, args: ['-e', source, '--', ...args] }
}

/** Waits until a question has an answer; what it throws in the meantime is told when the time is over. */
export async function eventually<T>(ask: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadlineMs = Date.now() + 20_000
  let problem: unknown = new Error('it never became true')
  while (Date.now() < deadlineMs) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      problem = error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw problem
}

export async function isGone(node: TestNode, name: string): Promise<boolean> {
  try {
    await node.pod(name)
    return false
  } catch (error) {
    if (isNotFound(error)) return true
    throw error
  }
}

export function conditionOf(pod: Pod, type: string): string | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)?.status
}

/** True while a process, or its group, is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits until a pod runs and is ready. */
export function running(node: TestNode, name: string): Promise<Pod> {
  return eventually(async () => {
    const pod = await node.pod(name)
    return pod.status?.phase === 'Running' && conditionOf(pod, 'Ready') === 'True' && pod
  })
}

/** Waits until a pod has succeeded or failed. */
export function finished(node: TestNode, name: string): Promise<Pod> {
  return eventually(async () => {
    const pod = await node.pod(name)
    return ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '') && pod
  })
}

export async function createConfigMap(node: TestNode, name: string, data: Record<string, string>): Promise<void> {
  await node.client.create(CONFIG_MAPS, { metadata: { name, namespace: NAMESPACE } as ConfigMap['metadata'], data })
}

/** Runs until it is ended. */
export const WAIT = 'setInterval(() => {}, 1000)'

/** Answers everything on port 8080 with 200; `/health` with 503 after an odd number of requests for `/flip`. */
export const SERVE = `
  const server = require('http').createServer((request, response) => {
    if (request.url === '/flip') global.bad = !global.bad
    response.statusCode = global.bad && request.url === '/health' ? 503 : 200
    response.end('hello')
  })
  server.listen(8080, process.env.PENSTOCK_HOST)
`
