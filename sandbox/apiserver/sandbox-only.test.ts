/** What only this API server does: it forgets its history when it is told to, and has logs from whoever composed it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from './apiserver.ts'
import { TestClient } from './test-client.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const PODS = '/api/v1/namespaces/default/pods'

let server: ApiServer
let client: TestClient

beforeAll(async () => {
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    async *podLogs(namespace, pod, { container, tailLines }) {
      yield Buffer.from(`${namespace}/${pod}/${container} ${tailLines}\n`)
    },
  })
  client = new TestClient(server)
})

afterAll(async () => {
  client.close()
  await server.close()
})

test('the log of a pod comes from the kubelet part', async () => {
  const spec = { nodeName: 'node-1', containers: [{ name: 'main', image: 'x:1' }] }
  await client.post(PODS, { metadata: { name: 'logged' }, spec })
  expect((await client.get(`${PODS}/logged/log?tailLines=3`)).body).toBe('default/logged/main 3\n')
})

test('pages and watches from before a compaction are gone', async () => {
  for (const name of ['a', 'b', 'c']) await client.post(CONFIG_MAPS, { metadata: { name } })
  const { body } = await client.get(`${CONFIG_MAPS}?limit=2`)
  server.compact()
  await client.post(CONFIG_MAPS, { metadata: { name: 'later' } })
  const next = await client.get(`${CONFIG_MAPS}?limit=2&continue=${body.metadata.continue}`)
  expect(next.body).toMatchObject({ code: 410, reason: 'Expired' })
  const [event] = await client.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=2`, 1)
  expect(event).toMatchObject({ type: 'ERROR', object: { reason: 'Expired', code: 410 } })
})
