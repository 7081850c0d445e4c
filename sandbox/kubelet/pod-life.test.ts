import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CONFIG_MAPS, PODS } from './resources.ts'
import {
  conditionOf,
  createConfigMap,
  eventually,
  finished,
  isAlive,
  isGone,
  running,
  script,
  SERVE,
  startTestNode,
  WAIT,
} from './test-node.ts'
import type { TestNode } from './test-node.ts'

let node: TestNode
beforeAll(async () => {
  node = await startTestNode({
    timing: { backOff: { baseMs: 50, maxMs: 60_000 }, refreshMs: 300, refreshJitterMs: 0, retryMs: 50 },
  })
})
afterAll(() => node.close())

describe('probes', () => {
  test('readiness decides about Ready, in both directions', async () => {
    await node.run('flipping', {
      containers: [
        script(SERVE, {
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { port: 'http', path: '/health' }, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
    })
    const { status } = await running(node, 'flipping')
    await fetch(`http://${status?.podIP}:8080/flip`)
    const unready = await eventually(async () => {
      const pod = await node.pod('flipping')
      return conditionOf(pod, 'Ready') === 'False' && pod
    })
    expect(unready.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
    })
    expect(unready.status).toMatchObject({
      phase: 'Running',
      containerStatuses: [{ ready: false, started: true, restartCount: 0 }],
    })
    await eventually(async () =>
      (await node.events('flipping')).includes(
        'Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503',
      ),
    )
    await fetch(`http://${status?.podIP}:8080/flip`)
    await running(node, 'flipping')
    await node.remove('flipping', 0)
  })

  test('a container that fails its liveness probe is started again', async () => {
    await node.run('stuck', {
      containers: [
        script(WAIT, { livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 1 } }),
      ],
    })
    const { status } = await eventually(async () => {
      const pod = await node.pod('stuck')
      return (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 && pod
    })
    expect(status?.containerStatuses?.[0]?.lastState.terminated?.exitCode).toBe(143)
    const events = await node.events('stuck')
    expect(events).toContain('Killing: Container main failed liveness probe, will be restarted')
    expect(events).toContain(
      `Unhealthy: Liveness probe failed: dial tcp ${status?.podIP}:8080: connect: connection refused`,
    )
    await node.remove('stuck', 0)
  })

  test('nothing else is probed until the startup probe passes', async () => {
    await node.run('slow', {
      containers: [
        script(`setTimeout(() => { ${SERVE} }, 1200)`, {
          startupProbe: { httpGet: { port: 8080 }, periodSeconds: 1, failureThreshold: 30 },
          livenessProbe: { httpGet: { port: 8080 }, failureThreshold: 1 },
        }),
      ],
    })
    await eventually(async () => (await node.pod('slow')).status?.containerStatuses?.[0]?.state.running !== undefined)
    expect((await node.pod('slow')).status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false })
    const { status } = await running(node, 'slow')
    expect(status?.containerStatuses?.[0]).toMatchObject({ started: true, restartCount: 0 })
    await node.remove('slow', 0)
  })

  test('readiness gates have a say', async () => {
    await node.run('gated', { readinessGates: [{ conditionType: 'example.com/gate' }], containers: [script(WAIT)] })
    const ready = async () => (await node.pod('gated')).status?.conditions?.find(({ type }) => type === 'Ready')
    await eventually(async () => (await ready())?.reason === 'ReadinessGatesNotReady')
    const condition = { type: 'example.com/gate', status: 'True' }
    await node.client.patchStatus(
      PODS,
      { namespace: 'default', name: 'gated' },
      { type: 'strategic', body: { status: { conditions: [condition] } } },
    )
    await running(node, 'gated')
    await node.remove('gated', 0)
  })
})

describe('deletion', () => {
  test('is graceful: preStop, then SIGTERM, and the pod goes when its process has', async () => {
    const file = join(node.rootDir, 'graceful')
    await writeFile(file, '')
    const source = `
      const note = (text) => require('fs').appendFileSync(process.argv[1], text)
      process.on('SIGTERM', () => { note('term '); setTimeout(() => { note('bye'); process.exit() }, 300) })
      note('up ')
      ${WAIT}
    `
    const preStop = {
      exec: { command: [process.execPath, '-e', 'require("fs").appendFileSync(process.argv[1], "hook ")', file] },
    }
    await node.run('graceful', { containers: [script(source, { args: [file], lifecycle: { preStop } })] })
    await running(node, 'graceful')
    // A container runs as soon as its process has begun, which cannot be asked to end before it listens.
    await eventually(async () => (await readFile(file, 'utf8')) === 'up ')
    await node.remove('graceful')
    expect((await node.pod('graceful')).metadata.deletionTimestamp).toBeDefined()
    await eventually(() => isGone(node, 'graceful'))
    expect(await readFile(file, 'utf8')).toBe('up hook term bye')
  })

  test('a process that does not listen is killed with all of its group when the grace is over', async () => {
    const source = `
      process.on('SIGTERM', () => {})
      const child = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(WAIT)}])
      console.log(process.pid, child.pid)
      ${WAIT}
    `
    await node.run('deaf', { terminationGracePeriodSeconds: 1, containers: [script(source)] })
    await running(node, 'deaf')
    const pids = await eventually(async () => {
      const log = await node.logs('deaf')
      return log !== '' && log.trim().split(' ').map(Number)
    })
    expect(pids.map(isAlive)).toEqual([true, true])
    await node.remove('deaf')
    await eventually(() => isGone(node, 'deaf'))
    await eventually(() => !pids.some(isAlive))
  })

  test('a second, more impatient deletion shortens the grace', async () => {
    await node.run('impatient', {
      terminationGracePeriodSeconds: 3600,
      containers: [script(`process.on('SIGTERM', () => {}); console.log('deaf'); ${WAIT}`)],
    })
    await running(node, 'impatient')
    await eventually(async () => (await node.logs('impatient')) === 'deaf\n')
    await node.remove('impatient')
    await node.remove('impatient', 1)
    await eventually(() => isGone(node, 'impatient'))
  })

  test('a pod that vanished is ended all the same', async () => {
    await node.run('vanished', { containers: [script(`console.log(process.pid); ${WAIT}`)] })
    await running(node, 'vanished')
    const pid = await eventually(async () => Number(await node.logs('vanished')) || undefined)
    await node.remove('vanished', 0)
    await eventually(() => !isAlive(pid))
  })
})

describe('ConfigMap volumes', () => {
  const printing = `
    let before
    const look = () => { const now = require('fs').readFileSync(process.argv[1], 'utf8'); if (now !== before) console.log(before = now) }
    look(); setInterval(look, 10)
  `

  test('follow a change after a while, and at once when the pod is touched', async () => {
    await createConfigMap(node, 'plan', { plan: 'one' })
    await node.run('follower', {
      volumes: [{ name: 'plan', configMap: { name: 'plan' } }],
      containers: [
        script(printing, { args: ['/etc/plan/plan'], volumeMounts: [{ name: 'plan', mountPath: '/etc/plan' }] }),
      ],
    })
    await running(node, 'follower')
    const change = (plan: string) =>
      node.client.patch(
        CONFIG_MAPS,
        { namespace: 'default', name: 'plan' },
        { type: 'merge', body: { data: { plan } } },
      )
    const seen = (text: string) => eventually(async () => (await node.logs('follower')) === text)
    await seen('one\n')
    await change('two')
    await seen('one\ntwo\n')
    await node.restart({ timing: { refreshMs: 3_600_000, retryMs: 50 } })
    await running(node, 'follower')
    await change('three')
    await node.client.patch(
      PODS,
      { namespace: 'default', name: 'follower' },
      { type: 'merge', body: { metadata: { annotations: { nudge: '1' } } } },
    )
    await eventually(async () => (await node.logs('follower')).endsWith('three\n'))
    await node.remove('follower', 0)
  })
})

describe('a kubelet that starts again', () => {
  test('takes its pods up where they were, and clears what is left of others', async () => {
    await node.run('survivor', { containers: [script(`console.log(process.pid); ${WAIT}`)] })
    await node.run('done', { restartPolicy: 'Never', containers: [script('console.log("result")')] })
    await running(node, 'survivor')
    await finished(node, 'done')
    const pid = await eventually(async () => Number(await node.logs('survivor')) || undefined)
    const stale = join(node.rootDir, 'pods', 'stale')
    await mkdir(stale)
    await node.kubelet.close()
    expect(isAlive(pid)).toBe(false)
    await node.restart()
    const { status } = await eventually(async () => {
      const pod = await node.pod('survivor')
      return pod.status?.containerStatuses?.[0]?.restartCount === 1 && conditionOf(pod, 'Ready') === 'True' && pod
    })
    expect(status?.containerStatuses?.[0]?.lastState.terminated).toMatchObject({
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    })
    expect(status?.podIPs).toEqual([{ ip: status?.podIP }])
    expect((await node.pod('done')).status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [{ restartCount: 0 }],
    })
    expect(await node.logs('done')).toBe('result\n')
    await expect(stat(stale)).rejects.toThrow('ENOENT')
  })
})
