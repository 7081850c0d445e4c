import type { V1Pod } from '@kubernetes/client-node'
import { describe, expect, test } from '@jest/globals'
import { isTerminating, podProblem, podSeen, resolveResultOf } from './pod-state.ts'

const pod = (status: object, metadata: object = {}): V1Pod => ({
  metadata: { name: 'p', uid: 'u', ...metadata },
  status,
})
const NOW = Date.parse('2026-01-01T00:01:00Z')
const container = (state: object, rest: object = {}) => ({ name: 'server', restartCount: 0, state, ...rest })

describe('a pod that', () => {
  test.each<[string, object, string | undefined]>([
    ['runs has no problem', { containerStatuses: [container({ running: {} })] }, undefined],
    [
      'is being created has no problem',
      { containerStatuses: [container({ waiting: { reason: 'ContainerCreating' } })] },
      undefined,
    ],
    [
      'crashes says how it ended last',
      {
        containerStatuses: [
          container(
            { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
            { lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } },
          ),
        ],
      },
      'container server: CrashLoopBackOff: back-off 10s; OOMKilled (exit code 137)',
    ],
    [
      'has no image says so',
      { containerStatuses: [container({ waiting: { reason: 'ErrImagePull', message: 'not found' } })] },
      'container server: ErrImagePull: not found',
    ],
    [
      'cannot fetch says what the fetch said',
      {
        initContainerStatuses: [
          { ...container({ terminated: { exitCode: 1, reason: 'Error', message: 'no such file' } }), name: 'fetch' },
        ],
      },
      'container fetch: Error (exit code 1): no such file',
    ],
    [
      'has no node says why',
      { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }] },
      'Unschedulable: 0/3 nodes',
    ],
  ])('%s', (_name, status, problem) => {
    expect(podProblem(pod(status), NOW)).toBe(problem)
  })

  const crashed = (message: string) => ({ containerStatuses: [container({ terminated: { exitCode: 1, message } })] })
  const pinoLine = '{"level":60,"time":"2026-01-01T00:00:00Z","revision":"m-1","msg":"no \\"tls.key\\" in it"}'
  test.each<[string, string, string]>([
    ['its last line', 'starting\nno such file\n', 'no such file'],
    ['what the log says in its last line', `{"level":30,"msg":"starting"}\n${pinoLine}\n`, 'no "tls.key" in it'],
    ['what is left of a line that was cut off at its beginning', pinoLine.slice(30), 'no "tls.key" in it'],
    [
      'the error above a stack',
      'x.js:1\n    ^\n\nError: boom\n    at f (x.js:1) {\n  code: 1\n}\n\nNode.js v26.0.0\n',
      'Error: boom',
    ],
    ['the error below a stack', 'Traceback:\n  File "x.py"\nValueError: boom', 'ValueError: boom'],
    ['anything at all', '   at f\n', 'at f'],
  ])('crashes tells %s', (_what, message, told) => {
    expect(podProblem(pod(crashed(message)), NOW)).toBe(`container server: Error (exit code 1): ${told}`)
  })

  describe('does not begin', () => {
    const volumes = [
      { name: 'tls', secret: { secretName: 'fraud-tls' } },
      { name: 'models', emptyDir: {} },
      { name: 'traffic', configMap: { name: 'm-traffic', optional: true } },
      { name: 'claim', persistentVolumeClaim: { claimName: 'models' } },
    ]
    const since = (seconds: number, ready: string, rest: object = {}): V1Pod => ({
      ...pod({
        conditions: [
          { type: 'PodScheduled', status: 'True', lastTransitionTime: new Date(NOW - seconds * 1000).toISOString() },
          { type: 'PodReadyToStartContainers', status: ready },
        ],
        initContainerStatuses: [container({ waiting: { reason: 'PodInitializing' } })],
        containerStatuses: [container({ waiting: { reason: 'PodInitializing' } })],
        ...rest,
      }),
      spec: { containers: [], volumes },
    })

    test('names what it mounts after twenty seconds', () => {
      expect(podProblem(since(20, 'False'), NOW)).toBe(
        'no container has begun; it mounts Secret fraud-tls, PersistentVolumeClaim models, which may be missing (see the Events of pod p)',
      )
    })

    test.each<[string, V1Pod]>([
      ['has no problem yet', since(19, 'False')],
      ['as its image is on the way has no problem', since(60, 'True')],
      ['again has no problem', since(60, 'False', { containerStatuses: [container({ running: {} })] })],
    ])('%s', (_what, waiting) => {
      expect(podProblem(waiting, NOW)).toBeUndefined()
    })
  })

  test('has much to say is cut to one line of 300 characters', () => {
    const problem = podProblem(
      pod({ containerStatuses: [container({ waiting: { reason: 'X', message: 'a\nb '.repeat(500) } })] }),
      NOW,
    )
    expect(problem).toHaveLength(300)
    expect(problem).not.toContain('\n')
  })

  test('restarted is seen with the time of it', () => {
    const seen = podSeen(
      pod({
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:05Z' }],
        containerStatuses: [
          container(
            { running: {} },
            { restartCount: 2, lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:00:01Z' } } },
          ),
        ],
      }),
      NOW,
    )
    expect(seen).toMatchObject({
      ready: true,
      readyChangedAt: Date.parse('2026-01-01T00:00:05Z'),
      restarts: 2,
      restartedAt: Date.parse('2026-01-01T00:00:01Z'),
    })
  })

  test('is being deleted, or has ended, is not counted', () => {
    expect(isTerminating(pod({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }))).toBe(true)
    expect(isTerminating(pod({ phase: 'Failed' }))).toBe(true)
    expect(isTerminating(pod({ phase: 'Running' }))).toBe(false)
  })
})

describe('a resolve container', () => {
  const ended = (terminated: object) => resolveResultOf(pod({ containerStatuses: [container({ terminated })] }))

  test('that still runs has said nothing', () => {
    expect(resolveResultOf(pod({ containerStatuses: [container({ running: {} })] }))).toBeUndefined()
  })
  test('is taken at its word', () => {
    const result = { ok: false, reason: 'NotFound', message: 'no such file' }
    expect(ended({ exitCode: 1, message: JSON.stringify(result) })).toEqual(result)
  })
  test.each([
    ['nothing', undefined],
    ['nonsense', 'panic!'],
    ['something else', '{"a":1}'],
    [
      'that all is well, with a digest that is none',
      '{"ok":true,"uri":"file:///m","sha256":"; rm -rf /","contract":{}}',
    ],
    [
      'that all is well, with a digest of data that is none',
      `{"ok":true,"uri":"file:///m","sha256":"${'a'.repeat(64)}","dataSha256":"","contract":{}}`,
    ],
  ])('that says %s was interrupted, and may be tried again', (_name, message) => {
    expect(ended({ exitCode: 137, reason: 'OOMKilled', message })).toMatchObject({
      ok: false,
      reason: 'Interrupted',
      message: expect.stringContaining('OOMKilled') as unknown,
    })
  })
})
