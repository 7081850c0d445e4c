import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { FieldSet } from './apply/field-set.ts'
import { startApiServer, type ApiServer } from './apiserver.ts'
import type { Json } from './json.ts'
import { TestClient } from './test-client.ts'

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
const SERVICES = '/api/v1/namespaces/default/services'

let server: ApiServer
let client: TestClient

beforeAll(async () => {
  server = await startApiServer({ host: '127.0.0.1', port: 0 })
  client = new TestClient(server)
})

afterAll(async () => {
  client.close()
  await server.close()
})

interface Extra {
  readonly replicas?: number
  readonly labels?: Record<string, string>
  readonly env?: { name: string; value: string }[]
}

const config = (name: string, { replicas, labels, env }: Extra = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, ...(labels ? { labels } : {}) },
  spec: {
    ...(replicas === undefined ? {} : { replicas }),
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image: 'x:1', ...(env ? { env } : {}) }] },
    },
  },
})

interface Entry {
  readonly manager: string
  readonly operation: string
  readonly subresource?: string
  readonly fieldsV1: Record<string, Json>
}

async function managers(path: string): Promise<Entry[]> {
  return (await client.get(path)).body.metadata.managedFields as Entry[]
}

describe('server-side apply', () => {
  test('creates what is missing, and owns just what it said', async () => {
    const { code } = await client.apply(`${DEPLOYMENTS}/made`, 'alice', config('made', { replicas: 2 }))
    expect(code).toBe(201)
    expect(await managers(`${DEPLOYMENTS}/made`)).toMatchObject([
      {
        manager: 'alice',
        operation: 'Apply',
        fieldsV1: {
          'f:spec': {
            'f:replicas': {},
            'f:selector': {},
            'f:template': {
              'f:metadata': { 'f:labels': { 'f:app': {} } },
              'f:spec': { 'f:containers': { 'k:{"name":"main"}': { '.': {}, 'f:image': {}, 'f:name': {} } } },
            },
          },
        },
      },
    ])
  })

  test('changes nothing, not even the version, when it is applied again', async () => {
    const path = `${DEPLOYMENTS}/again`
    const first = await client.apply(path, 'alice', config('again'))
    const second = await client.apply(path, 'alice', config('again'))
    expect(second.code).toBe(200)
    expect(second.body).toEqual(first.body)
  })

  test('conflicts with a field that another manager set otherwise, says which, and force takes it', async () => {
    const path = `${DEPLOYMENTS}/contested`
    await client.apply(path, 'alice', config('contested', { replicas: 2 }))
    await client.merge(`${path}?fieldManager=hpa`, { spec: { replicas: 5 } })
    const refused = await client.apply(path, 'alice', config('contested', { replicas: 2 }))
    expect(refused.code).toBe(409)
    expect(refused.body).toMatchObject({
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "hpa" using apps/v1: .spec.replicas',
      details: {
        causes: [
          { reason: 'FieldManagerConflict', message: 'conflict with "hpa" using apps/v1', field: '.spec.replicas' },
        ],
      },
    })
    const forced = await client.apply(path, 'alice', config('contested', { replicas: 2 }), true)
    expect(forced.body.spec.replicas).toBe(2)
    expect((await managers(path)).map(({ manager }) => manager)).toEqual(['alice'])
  })

  test('names every conflict of several', async () => {
    const path = `${DEPLOYMENTS}/several`
    await client.apply(path, 'alice', config('several', { replicas: 1, labels: { a: '1' } }))
    const { body } = await client.apply(path, 'bob', config('several', { replicas: 2, labels: { a: '2' } }))
    expect(body.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "alice":\n- .metadata.labels.a\n- .spec.replicas',
    )
  })

  test('fields that agree are owned together, and stay until the last owner drops them', async () => {
    const path = `${DEPLOYMENTS}/shared`
    await client.apply(path, 'alice', config('shared', { labels: { team: 'x' } }))
    await client.apply(path, 'bob', config('shared', { labels: { team: 'x' } }))
    const dropped = await client.apply(path, 'alice', config('shared'))
    expect(dropped.body.metadata.labels).toEqual({ team: 'x' })
    const gone = await client.apply(path, 'bob', config('shared'))
    expect(gone.body.metadata.labels).toBeUndefined()
  })

  test('an item that a manager drops from a keyed list goes, those of others stay', async () => {
    const path = `${DEPLOYMENTS}/listed`
    const [a, b, c] = ['A', 'B', 'C'].map((name) => ({ name, value: '1' })) as [
      { name: string; value: string },
      { name: string; value: string },
      { name: string; value: string },
    ]
    await client.apply(path, 'alice', config('listed', { env: [a, b] }))
    await client.strategic(`${path}?fieldManager=bob`, {
      spec: { template: { spec: { containers: [{ name: 'main', env: [c] }] } } },
    })
    const { body } = await client.apply(path, 'alice', config('listed', { env: [b] }))
    expect(body.spec.template.spec.containers[0].env).toEqual([c, b])
  })

  test('a dropped field with a default falls back to it', async () => {
    const path = `${DEPLOYMENTS}/reset`
    await client.apply(path, 'alice', config('reset', { replicas: 3 }))
    expect((await client.apply(path, 'alice', config('reset'))).body.spec.replicas).toBe(1)
  })

  test('ports are named by number and protocol, which has a default', async () => {
    const service = (ports: unknown[]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ports' },
      spec: { ports },
    })
    await client.apply(
      `${SERVICES}/ports`,
      'alice',
      service([
        { name: 'a', port: 80 },
        { name: 'b', port: 80, protocol: 'UDP' },
      ]),
    )
    const [entry] = await managers(`${SERVICES}/ports`)
    expect(Object.keys((entry?.fieldsV1['f:spec'] as { 'f:ports': object })['f:ports'])).toEqual([
      'k:{"port":80,"protocol":"TCP"}',
      'k:{"port":80,"protocol":"UDP"}',
    ])
    const duplicate = await client.apply(
      `${SERVICES}/ports`,
      'alice',
      service([
        { name: 'a', port: 80 },
        { name: 'b', port: 80 },
      ]),
    )
    expect(duplicate.body.message).toContain('duplicate entries for key')
  })

  test('status is a field of its own endpoint only', async () => {
    const path = `${DEPLOYMENTS}/statused`
    await client.apply(path, 'alice', { ...config('statused'), status: { observedGeneration: 9 } })
    expect((await client.get(path)).body.status).toEqual({})
    await client.apply(`${path}/status`, 'controller', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'statused' },
      status: { observedGeneration: 1 },
    })
    expect((await client.get(path)).body.status).toEqual({ observedGeneration: 1 })
    expect((await managers(path)).map(({ manager, subresource }) => [manager, subresource])).toEqual([
      ['alice', undefined],
      ['controller', 'status'],
    ])
  })

  test('needs a field manager, and refuses unknown fields whatever fieldValidation says', async () => {
    const missing = await client.ask('PATCH', `${DEPLOYMENTS}/nobody`, {
      body: config('nobody'),
      type: 'application/apply-patch+yaml',
    })
    expect(missing.body.message).toBe(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
    const of = 'failed to create typed patch object (/nobody; apps/v1, Kind=Deployment)'
    const good = config('nobody')
    const deep = structuredClone(good)
    Object.assign(deep.spec.template.spec.containers[0] ?? {}, { foo: 1 })
    for (const validation of ['Strict', 'Warn', 'Ignore']) {
      const apply = (body: object) =>
        client.ask('PATCH', `${DEPLOYMENTS}/nobody?fieldManager=a&fieldValidation=${validation}`, {
          body,
          type: 'application/apply-patch+yaml',
        })
      expect((await apply({ ...good, spce: {} })).body).toMatchObject({
        code: 500,
        message: `${of}: .spce: field not declared in schema`,
      })
      expect((await apply(deep)).body.message).toBe(
        `${of}: .spec.template.spec.containers[name="main"].foo: field not declared in schema`,
      )
    }
  })
})

describe('updates', () => {
  test('own what they set, and nothing that the server added', async () => {
    await client.post(`${SERVICES}?fieldManager=creator`, {
      metadata: { name: 'tracked', labels: { a: 'b' } },
      spec: { selector: { x: 'y' }, ports: [{ port: 80 }] },
    })
    expect(await managers(`${SERVICES}/tracked`)).toMatchObject([
      {
        manager: 'creator',
        operation: 'Update',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
          'f:spec': {
            'f:internalTrafficPolicy': {},
            'f:ports': {
              '.': {},
              'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {}, 'f:protocol': {}, 'f:targetPort': {} },
            },
            'f:selector': {},
            'f:sessionAffinity': {},
            'f:type': {},
          },
        },
      },
    ])
    const [entry] = await managers(`${SERVICES}/tracked`)
    expect(JSON.stringify(entry?.fieldsV1)).not.toContain('clusterIP')
  })
})

describe('sets of fields', () => {
  const element = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:"1"')
  const anySet = fc
    .array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 12 })
    .map((paths) => FieldSet.of(...paths))

  test('survive being written as FieldsV1', () => {
    fc.assert(fc.property(anySet, (set) => FieldSet.parse(set.toFieldsV1()).equals(set)))
  })

  test('obey the laws of sets', () => {
    fc.assert(
      fc.property(anySet, anySet, (left, right) => {
        expect(left.difference(right).union(left.intersection(right)).equals(left)).toBe(true)
        expect(left.union(right).equals(right.union(left))).toBe(true)
        expect(left.difference(right).intersection(right).isEmpty()).toBe(true)
      }),
    )
  })
})
