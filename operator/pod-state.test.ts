import type { V1Pod } from '@kubernetes/client-node'
import { describe, expect, test } from '@jest/globals'
import { isTerminating, podProblem, podSeen, resolveResultOf } from './pod-state.ts'

const pod = (status: object, metadata: object = {}): V1Pod => ({
  metadata: { name: 'p', uid: 'u', ...metadata },
  status,
})
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
    expect(podProblem(pod(status))).toBe(problem)
  })

  test('has much to say is cut to one line of 300 characters', () => {
    const problem = podProblem(
      pod({ containerStatuses: [container({ waiting: { reason: 'X', message: 'a\nb '.repeat(500) } })] }),
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
  ])('that says %s was interrupted, and may be tried again', (_name, message) => {
    expect(ended({ exitCode: 137, reason: 'OOMKilled', message })).toMatchObject({
      ok: false,
      reason: 'Interrupted',
      message: expect.stringContaining('OOMKilled') as unknown,
    })
  })
})
