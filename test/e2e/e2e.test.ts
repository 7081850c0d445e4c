import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startCluster, type Cluster } from './cluster.ts'

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({
    dir: join(tmpdir(), 'cluster'),
    cgroup: process.env.PENSTOCK_E2E ?? '',
    images: (process.env.PENSTOCK_E2E_IMAGES ?? '').split(delimiter),
  })
}, 300_000)
afterAll(() => cluster?.close(), 60_000)

test('the node is Ready, with the versions that were built', async () => {
  const node = JSON.parse(await cluster.kubectl(['get', 'node/node', '--output=json']))
  expect(node.status.nodeInfo).toMatchObject({
    kubeletVersion: 'v1.37.2',
    containerRuntimeVersion: 'containerd://2.4.2',
  })
})
