import { describe, expect, test } from '@jest/globals'
import { createClient, type Client } from './client.ts'
import { CONFIG_MAP, DEPLOYMENT, NODE, POD } from './resources.ts'
import type { Call, Transport } from './transport.ts'

/** A client, and the calls that it makes. */
function recorded(answers: unknown[] = []): { client: Client; calls: Call[] } {
  const calls: Call[] = []
  const transport: Transport = {
    json: async (call) => {
      calls.push(call)
      return answers.shift() ?? {}
    },
    stream: () => Promise.reject(new Error('not in this test')),
    close() {},
  }
  return { client: createClient(transport), calls }
}

const name = { namespace: 'ml', name: 'fraud' }

describe('calls', () => {
  test.each<[string, (client: Client) => Promise<unknown>, Partial<Call>]>([
    ['get', (c) => c.get(POD, name), { method: 'GET', path: '/api/v1/namespaces/ml/pods/fraud' }],
    ['get of the cluster', (c) => c.get(NODE, { name: 'n' }), { method: 'GET', path: '/api/v1/nodes/n' }],
    [
      'create',
      (c) => c.create(CONFIG_MAP, { metadata: name, data: { a: '1' } }, { fieldManager: 'me', dryRun: true }),
      {
        method: 'POST',
        path: '/api/v1/namespaces/ml/configmaps?fieldManager=me&dryRun=All',
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: name, data: { a: '1' } },
      },
    ],
    [
      'update of the status',
      (c) => c.updateStatus(DEPLOYMENT, { metadata: name }),
      { method: 'PUT', path: '/apis/apps/v1/namespaces/ml/deployments/fraud/status' },
    ],
    [
      'merge patch',
      (c) => c.patch(POD, name, { type: 'merge', body: { metadata: { annotations: { a: 'b' } } } }),
      { method: 'PATCH', contentType: 'application/merge-patch+json', body: { metadata: { annotations: { a: 'b' } } } },
    ],
    [
      'JSON patch',
      (c) => c.patchStatus(POD, name, { type: 'json', body: [{ op: 'remove', path: '/a' }] }),
      { contentType: 'application/json-patch+json', path: '/api/v1/namespaces/ml/pods/fraud/status' },
    ],
    [
      'apply',
      (c) => c.apply(CONFIG_MAP, { metadata: { ...name, managedFields: [] } }, { fieldManager: 'me', force: true }),
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/ml/configmaps/fraud?fieldManager=me&force=true',
        contentType: 'application/apply-patch+yaml',
        idempotent: true,
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: name },
      },
    ],
    [
      'delete',
      (c) => c.delete(POD, name, { propagation: 'Foreground', preconditions: { uid: 'u' }, gracePeriodSeconds: 0 }),
      {
        method: 'DELETE',
        path: '/api/v1/namespaces/ml/pods/fraud',
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: 'Foreground',
          preconditions: { uid: 'u' },
          gracePeriodSeconds: 0,
        },
      },
    ],
    [
      'delete of a collection',
      (c) => c.deleteCollection(POD, { namespace: 'ml', labelSelector: 'a=b' }),
      { method: 'DELETE', path: '/api/v1/namespaces/ml/pods?labelSelector=a%3Db' },
    ],
    [
      'scale',
      (c) => c.patchScale(DEPLOYMENT, name, 3),
      {
        method: 'PATCH',
        path: '/apis/apps/v1/namespaces/ml/deployments/fraud/scale',
        body: { spec: { replicas: 3 } },
      },
    ],
  ])('%s', async (_, act, expected) => {
    const { client, calls } = recorded()
    await act(client)
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject(expected)
  })

  test('a namespaced object without a namespace is refused before anything is sent', () => {
    const { client, calls } = recorded()
    expect(() => client.get(POD, { name: 'x' })).toThrow('Pod "x" needs a namespace')
    expect(() => client.create(POD, { metadata: { name: 'x' } })).toThrow('a new Pod needs metadata.namespace')
    expect(calls).toEqual([])
  })

  test('a name cannot leave its place in the path', async () => {
    const { client, calls } = recorded()
    await client.get(POD, { namespace: 'ml', name: '../../nodes/n?x=1' })
    expect(calls[0]?.path).toBe('/api/v1/namespaces/ml/pods/..%2F..%2Fnodes%2Fn%3Fx%3D1')
  })
})

describe('list', () => {
  test('puts pages together and gives items the kind that lists leave out', async () => {
    const { client, calls } = recorded([
      { metadata: { resourceVersion: '9', continue: 'more' }, items: [{ metadata: { name: 'a' } }] },
      { metadata: { resourceVersion: '9' }, items: [{ metadata: { name: 'b' } }] },
    ])
    const list = await client.list(POD, { namespace: 'ml', labelSelector: 'x in (a,b)', pageSize: 1 })
    expect(list.resourceVersion).toBe('9')
    expect(list.items).toEqual([
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'b' } },
    ])
    expect(calls.map((each) => each.path)).toEqual([
      '/api/v1/namespaces/ml/pods?labelSelector=x+in+%28a%2Cb%29&limit=1',
      '/api/v1/namespaces/ml/pods?labelSelector=x+in+%28a%2Cb%29&limit=1&continue=more',
    ])
  })

  test('an empty list may have null for its items', async () => {
    const { client } = recorded([{ metadata: { resourceVersion: '1' }, items: null }])
    expect((await client.list(POD)).items).toEqual([])
  })

  test('what is not a list is malformed', async () => {
    await expect(recorded([{ hello: 1 }]).client.list(POD)).rejects.toMatchObject({ failure: 'malformed' })
  })
})
