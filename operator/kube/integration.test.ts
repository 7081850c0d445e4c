/** The client layer against the sandbox's API server: TLS, a bearer token, real server-side apply, real watches. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from '../../sandbox/apiserver/apiserver.ts'
import { createClient, type Client } from './client.ts'
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts'
import { createEventRecorder } from './events.ts'
import { eventually } from './fake-server.ts'
import { loadKubeConfig } from './kubeconfig.ts'
import { createElection } from './lease.ts'
import { createReflector, type Reflector } from './reflector.ts'
import type { KubeObject } from './resource.ts'
import { CONFIG_MAP, EVENT, LEASE, readAs, SERVICE } from './resources.ts'
import { createTransport, type Transport } from './transport.ts'

interface Any extends KubeObject {
  readonly [field: string]: unknown
}

let server: ApiServer
let transport: Transport
let client: Client
let dir: string
let handshakes = 0
let writes: string[] = []
let closers: (() => Promise<void>)[] = []

beforeAll(async () => {
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    onRequest: ({ method, path }: { method: string; path: string }) => {
      if (method !== 'GET') writes.push(`${method} ${path}`)
    },
  })
  dir = mkdtempSync(join(tmpdir(), 'kube-integration-'))
  const path = join(dir, 'config')
  writeFileSync(path, JSON.stringify(server.kubeconfig()))
  const metrics = { connected: () => handshakes++, answered() {}, retried() {} }
  transport = createTransport(loadKubeConfig({ path }), { metrics })
  client = createClient(transport)
})

afterAll(async () => {
  transport.close()
  await server.close()
  rmSync(dir, { recursive: true })
})

beforeEach(() => {
  writes = []
})

afterEach(async () => {
  for (const close of closers.reverse()) await close()
  closers = []
})

function configMap(name: string, data: Record<string, string>) {
  return { metadata: { namespace: 'default', name }, data }
}

describe('the client', () => {
  test('creates, reads, changes and deletes, over one connection', async () => {
    const name = { namespace: 'default', name: 'crud' }
    const before = handshakes
    const created = await client.create(CONFIG_MAP, configMap('crud', { a: '1' }))
    const patched = await client.patch(CONFIG_MAP, name, { type: 'merge', body: { data: { b: '2' } } })
    expect(patched.data).toEqual({ a: '1', b: '2' })
    const stale = client.update(CONFIG_MAP, { ...created, data: {} })
    expect(await stale.catch(isConflict)).toBe(true)
    expect(await client.create(CONFIG_MAP, configMap('crud', {})).catch(isAlreadyExists)).toBe(true)
    await client.update(CONFIG_MAP, { ...patched, data: { c: '3' } })
    expect((await client.get(CONFIG_MAP, name)).data).toEqual({ c: '3' })
    await client.delete(CONFIG_MAP, name, { preconditions: { uid: created.metadata?.uid ?? '' } })
    expect(await client.get(CONFIG_MAP, name).catch(isNotFound)).toBe(true)
    expect(handshakes - before).toBeLessThanOrEqual(1)
  })

  test('lists in pages', async () => {
    for (let i = 0; i < 5; i++) await client.create(CONFIG_MAP, configMap(`page-${i}`, {}))
    const list = await client.list(CONFIG_MAP, { namespace: 'default', pageSize: 2 })
    const names = list.items.map((each) => each.metadata?.name).filter((name) => name?.startsWith('page-'))
    expect(names.sort()).toEqual([0, 1, 2, 3, 4].map((i) => `page-${i}`))
    expect(list.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' })
    await client.deleteCollection(CONFIG_MAP, { namespace: 'default' })
  })

  test('says which field of an object is wrong', async () => {
    const bad = { metadata: { namespace: 'default', name: 'bad' }, spec: { ports: [{ name: 'http', port: 0 }] } }
    const error: unknown = await client.create(SERVICE, bad).catch((error: unknown) => error)
    expect(error).toMatchObject({
      code: 422,
      reason: 'Invalid',
      causes: [{ field: 'spec.ports[0].port' }, { field: 'spec.ports[0].targetPort' }],
    })
  })
})

describe('a reflector', () => {
  async function reflected(labelSelector?: string): Promise<Reflector<Any>> {
    const reflector = createReflector<Any>({
      client,
      resource: readAs<Any>(CONFIG_MAP),
      namespace: 'default',
      ...(labelSelector !== undefined && { labelSelector }),
      tuning: { backoff: { baseMs: 5, capMs: 50 } },
    })
    closers.push(() => reflector.stop())
    reflector.start()
    await reflector.synced
    return reflector
  }

  test('follows what happens, also after the history is gone', async () => {
    await client.create(CONFIG_MAP, configMap('r-1', { a: 'ü' }))
    const { store } = await reflected()
    expect(store.get({ namespace: 'default', name: 'r-1' })?.data).toEqual({ a: 'ü' })
    await client.create(CONFIG_MAP, configMap('r-2', {}))
    await eventually('r-2', () => store.get({ namespace: 'default', name: 'r-2' }) !== undefined)
    server.compact()
    await client.delete(CONFIG_MAP, { namespace: 'default', name: 'r-1' })
    await eventually('the deletion', () => store.get({ namespace: 'default', name: 'r-1' }) === undefined)
    await client.deleteCollection(CONFIG_MAP, { namespace: 'default' })
    await eventually('an empty store', () => store.size === 0)
  })

  test('sees an object go when its label no longer matches', async () => {
    const { store } = await reflected('app=x')
    await client.create(CONFIG_MAP, { metadata: { namespace: 'default', name: 'l', labels: { app: 'x' } } })
    await eventually('the object', () => store.size === 1)
    const other = { metadata: { labels: { app: 'y' } } }
    await client.patch(CONFIG_MAP, { namespace: 'default', name: 'l' }, { type: 'merge', body: other })
    await eventually('it is gone', () => store.size === 0)
    await client.deleteCollection(CONFIG_MAP, { namespace: 'default' })
  })
})

describe('an election', () => {
  test('has one leader, and the next one when it leaves', async () => {
    const log: string[] = []
    const [a, b] = ['a', 'b'].map((identity) =>
      createElection({
        client,
        lease: { namespace: 'default', name: 'leader' },
        identity,
        leaseMs: 6_000,
        renewDeadlineMs: 4_000,
        retryMs: 100,
        onElected: () => log.push(`${identity} elected`),
        onLost: (reason) => log.push(`${identity} lost: ${reason}`),
      }),
    ) as [ReturnType<typeof createElection>, ReturnType<typeof createElection>]
    closers.push(
      () => a.stop(),
      () => b.stop(),
    )
    a.start()
    await eventually('a leads', () => a.isLeader())
    b.start()
    await eventually('b has seen a', () => b.holder() === 'a')
    expect(b.isLeader()).toBe(false)
    await a.stop()
    await eventually('b leads', () => b.isLeader())
    expect(log).toEqual(['a elected', 'b elected'])
    expect((await client.get(LEASE, { namespace: 'default', name: 'leader' })).spec).toMatchObject({
      holderIdentity: 'b',
      leaseTransitions: 1,
    })
  })
})

describe('the recorder', () => {
  test('writes an event that the server takes, and its repetitions', async () => {
    const recorder = createEventRecorder({ client, controller: 'example.dev/c', instance: 'host', seriesMs: 1 })
    const regarding = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'p', uid: 'u' } }
    const happening = { type: 'Normal', reason: 'Promoted', action: 'Promote', note: 'all gates passed' } as const
    recorder.record(regarding, happening)
    await eventually('the event', () => writes.length === 1)
    recorder.record(regarding, happening)
    await recorder.close()
    const { items } = await client.list(EVENT, { namespace: 'default' })
    expect(items).toHaveLength(1)
    expect(items[0]).toMatchObject({ note: 'all gates passed', regarding: { name: 'p' }, series: { count: 2 } })
    expect(recorder.dropped).toBe(0)
  })
})
