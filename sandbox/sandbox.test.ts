import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient, type Client } from '../operator/kube/client.ts'
import { loadKubeConfig } from '../operator/kube/kubeconfig.ts'
import { DEPLOYMENT, NAMESPACE, POD, readAs, SERVICE } from '../operator/kube/resources.ts'
import { createTransport } from '../operator/kube/transport.ts'
import type { Deployment, Pod, Service } from './controllers/objects.ts'
import { isReady } from './controllers/pod-state.ts'
import { startSandbox, type Sandbox } from './sandbox.ts'

const DEPLOYMENTS = readAs<Deployment>(DEPLOYMENT)
const PODS = readAs<Pod>(POD)

/** A web server in one line: it answers with its pod's name. */
const PROGRAM = `
const server = require('node:http').createServer((_, response) => response.end(process.env.NAME + ' ' + process.env.WORD))
server.listen(8080, process.env.PENSTOCK_HOST)
process.on('SIGTERM', () => process.exit(0))`

function web(replicas: number, word: string): Deployment {
  const container = {
    name: 'main',
    image: 'web',
    ports: [{ name: 'http', containerPort: 8080 }],
    env: [
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'WORD', value: word },
    ],
    readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
  }
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } }
  return {
    metadata: { namespace: 'default', name: 'web' },
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template },
  } as unknown as Deployment
}

async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`not seen in time: ${what}`)
    await delay(20)
  }
}

/** What is at an address, if anything: once a sandbox is closed, another process's may take its addresses at any moment. */
const answerAt = (host: string) =>
  fetch(`http://${host}:8080/`).then(
    (answer) => answer.text(),
    () => undefined,
  )

function clientOf(sandbox: Sandbox): { client: Client; close: () => void } {
  const transport = createTransport(loadKubeConfig({ path: sandbox.kubeconfigPath }), { maxRetries: 0 })
  return { client: createClient(transport), close: () => transport.close() }
}

describe('a sandbox', () => {
  let sandbox: Sandbox
  let client: Client
  let closeClient: () => void

  beforeAll(async () => {
    sandbox = await startSandbox({ images: { web: [process.execPath, '-e', PROGRAM] } })
    const { client: own, close } = clientOf(sandbox)
    client = own
    closeClient = close
  })
  afterAll(async () => {
    closeClient()
    await sandbox.close()
  })

  const rolledOut = (word: string): Promise<readonly Pod[]> =>
    eventually(`every pod says ${word}`, async () => {
      const { status, spec, metadata } = await client.get(DEPLOYMENTS, { namespace: 'default', name: 'web' })
      const { items } = await client.list(PODS, { namespace: 'default', labelSelector: 'app=web' })
      const seen = status?.observedGeneration === metadata.generation && status?.updatedReplicas === spec.replicas
      return seen && items.length === spec.replicas && items.every(isReady) ? items : undefined
    })

  test('keeps its kubeconfig to its owner', () => {
    expect(statSync(sandbox.kubeconfigPath).mode & 0o777).toBe(0o600)
  })

  test('runs a Deployment behind a Service, and rolls it on', async () => {
    await client.create(DEPLOYMENTS, web(2, 'first'))
    const service = {
      metadata: { namespace: 'default', name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 8080, targetPort: 'http' }] },
    }
    await client.create(readAs<Service>(SERVICE), service as unknown as Service)
    const pods = await rolledOut('first')
    const { host, port } = await sandbox.serviceAddress('default', 'web')
    expect(host.startsWith(`127.${sandbox.slot}.`)).toBe(true)
    const answer = await eventually('an answer', async () => (await fetch(`http://${host}:${port}/`)).text())
    expect(pods.map((pod) => `${pod.metadata.name} first`)).toContain(answer)
    const current = await client.get(DEPLOYMENTS, { namespace: 'default', name: 'web' })
    await client.update(DEPLOYMENTS, { ...current, spec: web(2, 'second').spec })
    await rolledOut('second')
    const text = await eventually('an answer of the second', async () => {
      const body = await (await fetch(`http://${host}:${port}/`)).text()
      return body.endsWith('second') ? body : undefined
    })
    expect(text).toMatch(/^web-[a-z0-9]+-[a-z0-9]{5} second$/)
  })

  test('does not mix with another one beside it, and leaves nothing behind', async () => {
    const other = await startSandbox()
    expect(other.slot).not.toBe(sandbox.slot)
    const { client: otherClient, close } = clientOf(other)
    try {
      await otherClient.create(NAMESPACE, { metadata: { name: 'elsewhere' } })
      const names = (await client.list(NAMESPACE)).items.map((namespace) => namespace.metadata?.name)
      expect(names).not.toContain('elsewhere')
      await other.close()
      // Or the certificate of who has the address now.
      await expect(otherClient.list(NAMESPACE)).rejects.toThrow(/ECONNREFUSED|certificate/)
    } finally {
      close()
      await other.close()
    }
    expect(existsSync(other.dir)).toBe(false)
  })

  test('ends its pods and its Services when it closes, and keeps a directory that was named', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-sandbox-test-'))
    const other = await startSandbox({ dir, images: { web: [process.execPath, '-e', PROGRAM] } })
    const { client: otherClient, close } = clientOf(other)
    let [address, answer] = ['', '']
    try {
      await otherClient.create(DEPLOYMENTS, web(1, 'last'))
      const pod = await eventually('a ready pod', async () => {
        const [found] = (await otherClient.list(PODS, { namespace: 'default', labelSelector: 'app=web' })).items
        return found !== undefined && isReady(found) ? found : undefined
      })
      address = pod.status?.podIP ?? ''
      answer = `${pod.metadata.name} last`
      expect(await answerAt(address)).toBe(answer)
    } finally {
      close()
      await other.close()
    }
    expect(await answerAt(address)).not.toBe(answer)
    expect(existsSync(join(dir, 'kubeconfig'))).toBe(true)
    rmSync(dir, { recursive: true })
  })

  test('says which file it cannot load, and then leaves nothing behind either', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-sandbox-test-'))
    const path = join(dir, 'thing.yaml')
    writeFileSync(path, 'kind: ConfigMap\n')
    await expect(startSandbox({ crds: [path] })).rejects.toThrow(`${path} holds a ConfigMap`)
    rmSync(dir, { recursive: true })
  })
})
