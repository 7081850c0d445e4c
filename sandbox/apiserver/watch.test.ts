import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from './apiserver.ts'
import { TestClient } from './test-client.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'

let server: ApiServer
let client: TestClient

beforeAll(async () => {
  server = await startApiServer({ host: '127.0.0.1', port: 0 })
  client = new TestClient(server)
  await client.post(CONFIG_MAPS, configMap('basics'))
})

afterAll(async () => {
  client.close()
  await server.close()
})

const configMap = (name: string, labels: Record<string, string> = {}) => ({ metadata: { name, labels } })

describe('watching', () => {
  test('tells what comes, changes and goes, in the view of its selector', async () => {
    const { body } = await client.get(CONFIG_MAPS)
    const path = `${CONFIG_MAPS}?watch=true&labelSelector=watched%3Dyes&resourceVersion=${body.metadata.resourceVersion}`
    const events = await client.watch(path, 3, async () => {
      await client.post(CONFIG_MAPS, configMap('unwatched'))
      await client.post(CONFIG_MAPS, configMap('watched', { watched: 'yes' }))
      await client.merge(`${CONFIG_MAPS}/watched`, { data: { a: 'b' } })
      await client.merge(`${CONFIG_MAPS}/watched`, { metadata: { labels: { watched: 'no' } } })
    })
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED'])
  })

  test('an initial list ends with a bookmark that says so', async () => {
    const query =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dbasics'
    const events = await client.watch(`${CONFIG_MAPS}?${query}`, 2)
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK'])
    expect(events[1]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  })

  test('ends after timeoutSeconds', async () => {
    const events = await client.watch(
      `${CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Dnone`,
      1,
    )
    expect(events).toEqual([])
  })
})
