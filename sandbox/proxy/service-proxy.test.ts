import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { Agent, createServer, request } from 'node:http'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Service } from '../controllers/objects.ts'
import { ENDPOINT_SLICE, SERVICE, readAs } from '../../operator/kube/resources.ts'
import type { KubeObject } from '../../operator/kube/resource.ts'
import { eventually, startTestNode } from '../kubelet/test-node.ts'
import type { TestNode } from '../kubelet/test-node.ts'
import { ADDRESS_ANNOTATION, startServiceProxy } from './service-proxy.ts'
import type { ServiceProxy } from './service-proxy.ts'

let node: TestNode
let proxy: ServiceProxy
const backends: Server[] = []
beforeAll(async () => {
  node = await startTestNode()
  proxy = await startServiceProxy({ client: node.client })
})
afterAll(async () => {
  await proxy.close()
  for (const backend of backends) {
    backend.close()
    backend.closeAllConnections()
  }
  await node.close()
})

const SERVICES = readAs<Service>(SERVICE)
const SLICES = readAs<KubeObject>(ENDPOINT_SLICE)
const inDefault = (name: string) => ({ name, namespace: 'default' })

/** A pod's server that answers with its own address. */
async function backend(index: number): Promise<string> {
  const host = `127.${node.slot}.127.${index}`
  const server = createServer((incoming, response) => {
    incoming.pipe(response)
    if (incoming.method === 'GET') response.end(host)
  })
  backends.push(server)
  await new Promise<void>((resolve) => server.listen(8080, host, resolve))
  return host
}

async function createService(name: string, port = 8080): Promise<string> {
  const spec = { selector: { app: name }, ports: [{ name: 'http', port, targetPort: 'http' }] }
  const created = await node.client.create(SERVICES, { metadata: inDefault(name), spec } as unknown as Service)
  return created.spec.clusterIP ?? ''
}

function sliceOf(service: string, ready: string[], leaving: string[] = []) {
  const endpoints = [
    ...ready.map((address) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
    })),
    ...leaving.map((address) => ({
      addresses: [address],
      conditions: { ready: false, serving: true, terminating: true },
    })),
  ]
  const metadata = { ...inDefault(`${service}-1`), labels: { 'kubernetes.io/service-name': service } }
  return { metadata, addressType: 'IPv4', endpoints, ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] }
}

async function setEndpoints(service: string, ready: string[], leaving: string[] = []): Promise<void> {
  await node.client.apply(SLICES, sliceOf(service, ready, leaving), { fieldManager: 'test', force: true })
}

function get(address: string, agent?: Agent): Promise<string> {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const call = request({ host, port, agent: agent ?? false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve(text))
    })
    call.on('error', reject)
    call.end()
  })
}

const errorOf = (address: string) =>
  get(address).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  )

describe('the Service proxy', () => {
  test('spreads connections, follows the endpoints, and never moves a connection', async () => {
    const [one, two, three] = [await backend(1), await backend(2), await backend(3)]
    const address = `${await createService('spread')}:8080`
    await setEndpoints('spread', [one, two])
    await eventually(async () => (await get(address)) !== '')
    expect(proxy.addressOf('default', 'spread')).toBe(address)
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(address)))
    expect(answers.filter((each) => each === one)).toHaveLength(5)
    expect(answers.filter((each) => each === two)).toHaveLength(5)

    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const kept = await get(address, agent)
    await setEndpoints('spread', [three])
    await eventually(async () => (await get(address)) === three)
    for (let count = 0; count < 5; count++) expect(await get(address)).toBe(three)
    expect(await get(address, agent)).toBe(kept)
    agent.destroy()
  })

  test('refuses without endpoints, asks leaving ones before it does, and resets when a backend refuses', async () => {
    const address = `${await createService('empty')}:8080`
    await eventually(async () => (await errorOf(address)) === 'ECONNRESET')
    const leaving = await backend(4)
    await setEndpoints('empty', [], [leaving])
    await eventually(async () => (await get(address)) === leaving)
    await setEndpoints('empty', [`127.${node.slot}.127.99`])
    await eventually(async () => (await errorOf(address)) === 'ECONNRESET')
  })

  test('a port that changes moves, and its open connections go on', async () => {
    const host = await createService('moving')
    const own = await backend(5)
    await setEndpoints('moving', [own])
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await eventually(() => get(`${host}:8080`, agent))
    await node.client.patch(SERVICES, inDefault('moving'), {
      type: 'json',
      body: [{ op: 'replace', path: '/spec/ports/0/port', value: 9090 }],
    })
    await eventually(() => get(`${host}:9090`))
    expect(proxy.addressOf('default', 'moving')).toBe(`${host}:9090`)
    expect(await errorOf(`${host}:8080`)).toBe('ECONNREFUSED')
    expect(await get(`${host}:8080`, agent)).toBe(own)
    agent.destroy()
    await node.client.delete(SERVICES, inDefault('moving'))
    await eventually(async () => (await errorOf(`${host}:9090`)) === 'ECONNREFUSED')
    expect(proxy.addressOf('default', 'moving')).toBeUndefined()
  })

  test('carries megabytes both ways, and the end of one direction alone', async () => {
    const host = await createService('large')
    await setEndpoints('large', [await backend(6)])
    await eventually(() => get(`${host}:8080`))
    const body = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh')
    const socket = connect({ host, port: 8080, allowHalfOpen: true })
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.end(body)
    await new Promise((resolve) => socket.once('end', resolve))
    socket.destroy()
    const answer = Buffer.concat(chunks)
    expect(answer.subarray(0, 15).toString()).toBe('HTTP/1.1 200 OK')
    expect(answer.indexOf(body.subarray(0, 1024))).toBeGreaterThan(0)
    expect(answer.length).toBeGreaterThan(body.length)
  })

  test('serves a port that is reserved for privileged processes elsewhere, if it must', async () => {
    const source = `
      import { Listener } from ${JSON.stringify(join(import.meta.dirname, 'listener.ts'))}
      const frontend = { namespace: 'n', service: 's', host: '127.${node.slot}.254.254', port: 81, backends: [] }
      const listener = new Listener(frontend)
      await listener.open()
      console.log(listener.address, listener.isMoved)
      listener.close()
    `
    const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {}
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '-e', source],
      nobody,
    )
    expect(stdout).toBe(`127.${node.slot}.254.254:10081 true\n`)
  })

  test('says nothing about an address that is as the Service has it', async () => {
    await createService('plain', 8088)
    await eventually(() => proxy.addressOf('default', 'plain'))
    const { metadata } = await node.client.get(SERVICES, inDefault('plain'))
    expect(metadata.annotations?.[ADDRESS_ANNOTATION]).toBeUndefined()
  })
})
