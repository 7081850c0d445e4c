import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CONFIG_MAPS, SECRETS } from './resources.ts'
import {
  conditionOf,
  createConfigMap,
  eventually,
  finished,
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

describe('a running pod', () => {
  test('shows what a cluster would show, and can be reached at its own address', async () => {
    await node.run('web', { containers: [script(SERVE)] })
    const { status } = await running(node, 'web')
    expect(status?.podIP).toMatch(new RegExp(`^127\\.${node.slot}\\.`))
    expect(status).toMatchObject({
      phase: 'Running',
      podIPs: [{ ip: status?.podIP }],
      qosClass: 'BestEffort',
      containerStatuses: [{ name: 'main', ready: true, started: true, restartCount: 0, image: 'node', lastState: {} }],
    })
    const [container] = status?.containerStatuses ?? []
    expect(container?.containerID).toMatch(/^process:\/\/[0-9a-f]{64}$/)
    expect(container?.state.running?.startedAt).toMatch(/Z$/)
    const types = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']
    for (const type of types) expect([type, conditionOf(await node.pod('web'), type)]).toEqual([type, 'True'])
    const answer = await eventually(() => fetch(`http://${status?.podIP}:8080/`))
    expect(await answer.text()).toBe('hello')
    const events = await eventually(async () => {
      const seen = await node.events('web')
      return seen.length >= 3 && seen
    })
    expect(events).toEqual([
      'Pulled: Container image "node" already present on machine',
      'Created: Created container: main',
      'Started: Started container main',
    ])
  })

  test('gets the environment that its spec asks for, and nothing of ours but PATH', async () => {
    await createConfigMap(node, 'settings', { MODE: 'fast', EXTRA: 'more' })
    await node.client.create(SECRETS, {
      metadata: { name: 'keys', namespace: 'default' },
      data: { token: Buffer.from('t0p').toString('base64') },
    } as never)
    await node.run('environment', {
      restartPolicy: 'Never',
      containers: [
        script('console.log(JSON.stringify({ ...process.env, argument: process.argv[1] }))', {
          args: ['--who=$(POD)', '$$(POD)'],
          envFrom: [
            { prefix: 'C_', configMapRef: { name: 'settings' } },
            { secretRef: { name: 'absent', optional: true } },
          ],
          env: [
            { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
            { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'MODE' } } },
            { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
            { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
            { name: 'SENTENCE', value: '$(POD) is $(MODE), $(NOBODY)' },
          ],
          resources: { limits: { memory: '64Mi' } },
        }),
      ],
    })
    const { status } = await finished(node, 'environment')
    const seen = JSON.parse(await node.logs('environment')) as Record<string, string>
    const podIP = status?.podIP
    expect(seen).toMatchObject({
      argument: '--who=environment',
      C_MODE: 'fast',
      C_EXTRA: 'more',
      POD: 'environment',
      IP: podIP,
      NODE: 'test-node',
      MODE: 'fast',
      TOKEN: 't0p',
      MEMORY: '64',
      SENTENCE: 'environment is fast, $(NOBODY)',
      PENSTOCK_HOST: podIP,
      PATH: process.env.PATH,
    })
    const ours = Object.keys(seen).filter((name) => !/^(C_|POD$|IP$|NODE$|MODE$|TOKEN$|MEMORY$|SENTENCE$)/.test(name))
    expect(ours.sort()).toEqual(['HOME', 'PATH', 'PENSTOCK_HOST', 'TMPDIR', 'argument'])
  })

  test('finds its volumes under the paths of its mounts', async () => {
    await createConfigMap(node, 'files', { 'a.json': '{"a":1}', b: 'two' })
    const read = `
      const fs = require('fs')
      fs.writeFileSync(process.argv[2] + '/out', 'kept')
      console.log(fs.readFileSync(process.argv[1], 'utf8'), fs.readdirSync(process.env.ALL).filter(n => n[0] !== '.').join())
    `
    await node.run('volumes', {
      restartPolicy: 'Never',
      volumes: [
        {
          name: 'all',
          projected: {
            sources: [
              { configMap: { name: 'files' } },
              { downwardAPI: { items: [{ path: 'me', fieldRef: { fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
        { name: 'one', configMap: { name: 'files', items: [{ key: 'a.json', path: 'deep/a' }] } },
        { name: 'data', persistentVolumeClaim: { claimName: 'claim' } },
      ],
      containers: [
        script(read, {
          args: ['/etc/one/deep/a', '/data'],
          env: [{ name: 'ALL', value: '/etc/all' }],
          volumeMounts: [
            { name: 'all', mountPath: '/etc/all' },
            { name: 'one', mountPath: '/etc/one' },
            { name: 'data', mountPath: '/data' },
          ],
        }),
      ],
    })
    await finished(node, 'volumes')
    expect(await node.logs('volumes')).toBe('{"a":1} a.json,b,me\n')
    await node.run('reader', {
      restartPolicy: 'Never',
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'claim' } }],
      containers: [
        script('console.log(require("fs").readFileSync(process.argv[1], "utf8"))', {
          args: ['/data/out'],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        }),
      ],
    })
    await finished(node, 'reader')
    expect(await node.logs('reader')).toBe('kept\n')
  })

  test('an idle node writes nothing', async () => {
    // A silence can only be waited for; a machine that is slow cannot make this fail.
    const writes = () => node.requests.filter((request) => !/^(get|list|watch) /.test(request))
    const before = await eventually(async () => {
      const then = writes().length
      await new Promise((resolve) => setTimeout(resolve, 500))
      return writes().length === then && then
    })
    await node.kubelet.usage()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(writes().slice(before)).toEqual([])
  })

  test('its use of the machine is measured', async () => {
    await node.run('busy', { containers: [script('for (;;) {}')] })
    await running(node, 'busy')
    const usage = await eventually(async () => {
      const found = (await node.kubelet.usage()).find(({ name }) => name === 'busy')
      return found !== undefined && found.cpuMillicores > 100 && found
    })
    expect(usage.memoryBytes).toBeGreaterThan(10_000_000)
    await node.remove('busy', 0)
  })
})

describe('the end of containers', () => {
  test('a pod that is done has succeeded, with the message that it left', async () => {
    await node.run('job', {
      restartPolicy: 'Never',
      containers: [
        script('require("fs").writeFileSync(process.argv[1].split("=")[1], "x".repeat(5000))', {
          args: ['--log=/dev/termination-log'],
        }),
      ],
    })
    const { status } = await finished(node, 'job')
    expect(status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [
        { ready: false, state: { terminated: { exitCode: 0, reason: 'Completed', message: 'x'.repeat(4096) } } },
      ],
    })
    expect(status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
      status: 'False',
      reason: 'PodCompleted',
    })
  })

  test('exit codes, and the log as message when there is none', async () => {
    await node.run('failing', {
      restartPolicy: 'Never',
      containers: [
        script('console.log("out of luck"); process.exit(3)', { terminationMessagePolicy: 'FallbackToLogsOnError' }),
        script('process.kill(process.pid, "SIGKILL")', { name: 'killed' }),
        script('', { name: 'fine' }),
      ],
    })
    const { status } = await finished(node, 'failing')
    const ends = status?.containerStatuses?.map(({ state }) => [
      state.terminated?.exitCode,
      state.terminated?.reason,
      state.terminated?.message,
    ])
    expect(status?.phase).toBe('Failed')
    expect(ends).toEqual([
      [3, 'Error', 'out of luck\n'],
      [137, 'Error', undefined],
      [0, 'Completed', undefined],
    ])
  })

  test('OnFailure restarts until it succeeds, and remembers the last failure and its log', async () => {
    const failTwice = `
      const fs = require('fs'), file = process.argv[1] + '/count'
      const count = fs.existsSync(file) ? Number(fs.readFileSync(file)) : 0
      fs.writeFileSync(file, String(count + 1))
      console.log('run', count)
      process.exit(count < 2 ? 7 : 0)
    `
    await node.run('stubborn', {
      restartPolicy: 'OnFailure',
      volumes: [{ name: 'memory', emptyDir: {} }],
      containers: [script(failTwice, { args: ['/memory'], volumeMounts: [{ name: 'memory', mountPath: '/memory' }] })],
    })
    const { status } = await finished(node, 'stubborn')
    expect(status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [
        { restartCount: 2, lastState: { terminated: { exitCode: 7 } }, state: { terminated: { exitCode: 0 } } },
      ],
    })
    expect(await node.logs('stubborn')).toBe('run 2\n')
    expect(await node.logs('stubborn', { previous: true })).toBe('run 1\n')
  })

  test('a crashing container waits longer and longer', async () => {
    await node.run('crashing', { containers: [script('process.exit(1)')] })
    const { status, metadata } = await eventually(async () => {
      const pod = await node.pod('crashing')
      const waiting = pod.status?.containerStatuses?.[0]?.state.waiting
      return (
        (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 4 && waiting?.reason === 'CrashLoopBackOff' && pod
      )
    })
    const [container] = status?.containerStatuses ?? []
    expect(container?.state.waiting?.message).toMatch(
      new RegExp(`^back-off (\\d+ms|\\ds) restarting failed container=main pod=crashing_default\\(${metadata.uid}\\)$`),
    )
    expect(container?.lastState.terminated).toMatchObject({ exitCode: 1, reason: 'Error' })
    expect(status?.phase).toBe('Running')
    expect(conditionOf(await node.pod('crashing'), 'Ready')).toBe('False')
    const events = await node.events('crashing')
    expect(events).toContain(
      `BackOff: Back-off restarting failed container main in pod crashing_default(${metadata.uid})`,
    )
    await node.remove('crashing')
    await eventually(() => isGone(node, 'crashing'))
  })

  test('a program that cannot be started', async () => {
    await node.run('nothing', {
      restartPolicy: 'Never',
      containers: [{ name: 'main', image: 'node', command: ['no-such-program'] }],
    })
    const { status } = await finished(node, 'nothing')
    expect(status?.containerStatuses?.[0]?.state.terminated).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message: 'exec: "no-such-program": executable file not found in $PATH',
    })
  })

  test('a deadline ends a pod that still runs', async () => {
    await node.run('late', { activeDeadlineSeconds: 1, containers: [script(WAIT)] })
    const { status } = await finished(node, 'late')
    expect(status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
    expect(status?.containerStatuses?.[0]?.state.terminated?.exitCode).toBe(143)
  })
})

describe('what a container waits for', () => {
  test('an image that nobody knows', async () => {
    await node.run('unknown', {
      containers: [
        { name: 'main', image: 'no/such:image' },
        { name: 'never', image: 'no/such:image', imagePullPolicy: 'Never' },
      ],
    })
    const waiting = async () => (await node.pod('unknown')).status?.containerStatuses?.map(({ state }) => state.waiting)
    const first = await eventually(async () => {
      const seen = await waiting()
      return seen?.[0]?.reason === 'ErrImagePull' && seen
    })
    expect(first[0]?.message).toContain('those with one: "node"')
    expect(first[1]).toMatchObject({ reason: 'ErrImageNeverPull' })
    const later = await eventually(async () => {
      const seen = await waiting()
      return seen?.[0]?.reason === 'ImagePullBackOff' && seen
    })
    expect(later[0]?.message).toMatch(/^Back-off pulling image "no\/such:image": ErrImagePull: /)
    expect((await node.pod('unknown')).status?.phase).toBe('Pending')
    await node.remove('unknown', 0)
  })

  test('a ConfigMap for its environment', async () => {
    await node.run('needy', {
      containers: [script(WAIT, { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'later', key: 'x' } } }] })],
    })
    const waiting = (reason: string, message: string) =>
      eventually(async () => {
        const state = (await node.pod('needy')).status?.containerStatuses?.[0]?.state.waiting
        return state?.reason === reason && state.message === message
      })
    await waiting('CreateContainerConfigError', 'configmap "later" not found')
    await createConfigMap(node, 'later', { y: '1' })
    await waiting('CreateContainerConfigError', "couldn't find key x in ConfigMap default/later")
    await node.client.patch(
      CONFIG_MAPS,
      { namespace: 'default', name: 'later' },
      { type: 'merge', body: { data: { x: '1' } } },
    )
    await running(node, 'needy')
    await node.remove('needy', 0)
  })

  test('a ConfigMap for a volume', async () => {
    await node.run('unmounted', {
      volumes: [{ name: 'v', configMap: { name: 'missing' } }],
      containers: [script(WAIT)],
    })
    await eventually(async () =>
      (await node.events('unmounted')).includes(
        'FailedMount: MountVolume.SetUp failed for volume "v" : configmap "missing" not found',
      ),
    )
    const { status } = await node.pod('unmounted')
    expect(status).toMatchObject({
      phase: 'Pending',
      containerStatuses: [{ state: { waiting: { reason: 'ContainerCreating' } } }],
    })
    await createConfigMap(node, 'missing', {})
    await running(node, 'unmounted')
    await node.remove('unmounted', 0)
  })

  test('its init containers, one after the other, and its sidecars', async () => {
    const note = (text: string) => `require('fs').appendFileSync(process.argv[1], '${text} ')`
    const shared = { args: ['/shared/order'], volumeMounts: [{ name: 'work', mountPath: '/shared' }] }
    await node.run('ordered', {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      volumes: [{ name: 'work', emptyDir: {} }],
      initContainers: [
        script(`setTimeout(() => ${note('first')}, 200)`, { name: 'first', ...shared }),
        script(`${note('sidecar')}; process.on('SIGTERM', () => { ${note('end')}; process.exit() }); ${WAIT}`, {
          name: 'sidecar',
          restartPolicy: 'Always',
          startupProbe: {
            exec: {
              command: [
                process.execPath,
                '-e',
                'require("fs").readFileSync(process.argv[1], "utf8").includes("sidecar") || process.exit(1)',
                '/shared/order',
              ],
            },
            periodSeconds: 1,
          },
          ...shared,
        }),
        script(note('second'), { name: 'second', ...shared }),
      ],
      containers: [
        script(
          `${note('main')}; process.on('exit', () => console.log(require('fs').readFileSync(process.argv[1], 'utf8')))`,
          shared,
        ),
      ],
    })
    const { status } = await finished(node, 'ordered')
    expect(await node.logs('ordered', { container: 'main' })).toBe('first sidecar second main \n')
    expect(status?.phase).toBe('Succeeded')
    expect(status?.initContainerStatuses?.map(({ state }) => state.terminated?.exitCode)).toEqual([0, 0, 0])
  })

  test('a failed init container fails a pod that never restarts', async () => {
    await node.run('unready', {
      restartPolicy: 'Never',
      initContainers: [script('process.exit(4)', { name: 'check' })],
      containers: [script(WAIT)],
    })
    const { status } = await finished(node, 'unready')
    expect(status).toMatchObject({
      phase: 'Failed',
      initContainerStatuses: [{ state: { terminated: { exitCode: 4 } } }],
      containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }],
    })
    expect(conditionOf(await node.pod('unready'), 'Initialized')).toBe('False')
  })
})
