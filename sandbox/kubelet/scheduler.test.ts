import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PODS } from './resources.ts'
import { eventually, isGone, running, script, startTestNode, WAIT } from './test-node.ts'
import type { TestNode } from './test-node.ts'

let node: TestNode
beforeAll(async () => {
  node = await startTestNode({ schedule: true, nodeLabels: { zone: 'here' } })
})
afterAll(() => node.close())

const unbound = { nodeName: undefined } as never as object
const scheduled = async (name: string) =>
  (await node.pod(name)).status?.conditions?.find(({ type }) => type === 'PodScheduled')

describe('the scheduler', () => {
  test('binds a pod that fits', async () => {
    await node.run('fitting', { ...unbound, nodeSelector: { zone: 'here' }, containers: [script(WAIT)] })
    const { spec } = await running(node, 'fitting')
    expect(spec.nodeName).toBe('test-node')
    const message = 'Scheduled: Successfully assigned default/fitting to test-node'
    await eventually(async () => (await node.events('fitting')).includes(message))
  })

  test('says why a pod does not fit, and lets it be deleted', async () => {
    await node.run('misfit', { ...unbound, nodeSelector: { zone: 'there' }, containers: [script(WAIT)] })
    const message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    expect(await eventually(() => scheduled('misfit'))).toMatchObject({
      status: 'False',
      reason: 'Unschedulable',
      message,
    })
    expect((await node.pod('misfit')).status?.phase).toBe('Pending')
    await eventually(async () => (await node.events('misfit')).includes(`FailedScheduling: ${message}`))
    await node.remove('misfit')
    await eventually(() => isGone(node, 'misfit'))
  })

  test('binds a gated pod once its gates are gone', async () => {
    await node.run('gated', {
      ...unbound,
      schedulingGates: [{ name: 'example.com/quota' }],
      containers: [script(WAIT)],
    })
    expect(await eventually(() => scheduled('gated'))).toMatchObject({ status: 'False', reason: 'SchedulingGated' })
    await node.client.patch(
      PODS,
      { namespace: 'default', name: 'gated' },
      { type: 'merge', body: { spec: { schedulingGates: null } } },
    )
    await running(node, 'gated')
  })
})
