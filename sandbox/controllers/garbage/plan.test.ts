import { describe, expect, test } from '@jest/globals'
import { judge, type Node, type OwnerState, type Verdict } from './plan.ts'

function node(
  uid: string,
  facts: { owners?: string[]; finalizers?: string[]; isDeleting?: boolean; blocks?: boolean } = {},
): Node {
  return {
    resource: { group: '', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true },
    name: uid,
    namespace: 'default',
    uid,
    resourceVersion: '1',
    owners: (facts.owners ?? []).map((owner) => ({
      apiVersion: 'v1',
      kind: 'Thing',
      name: owner,
      uid: owner,
      blockOwnerDeletion: facts.blocks === true,
    })),
    finalizers: facts.finalizers ?? [],
    isDeleting: facts.isDeleting === true,
  }
}

function verdict(of: Node, states: Record<string, OwnerState>, dependents: Node[] = []): Verdict {
  return judge(of, { stateOf: ({ uid }) => states[uid] ?? 'gone', dependents })
}

describe('garbage collection', () => {
  const child = node('child', { owners: ['a'], blocks: true })
  const cases: [string, Verdict, Verdict['kind']][] = [
    ['keeps what nobody owns', verdict(node('x'), {}), 'keep'],
    ['keeps what a living object owns', verdict(node('x', { owners: ['a'] }), { a: 'solid' }), 'keep'],
    ['deletes what only vanished objects own', verdict(node('x', { owners: ['a', 'b'] }), {}), 'delete'],
    [
      'only takes off the vanished of several owners',
      verdict(node('x', { owners: ['a', 'b'] }), { b: 'solid' }),
      'disown',
    ],
    ['deletes below an owner that waits', verdict(node('x', { owners: ['a'] }), { a: 'waiting' }), 'delete'],
    ['leaves what is being deleted alone', verdict(node('x', { owners: ['a'], isDeleting: true }), {}), 'keep'],
    [
      'in foreground waits for what blocks',
      verdict(node('a', { isDeleting: true, finalizers: ['foregroundDeletion'] }), {}, [child]),
      'waitForDependents',
    ],
    [
      'in foreground does not wait for what does not block',
      verdict(node('a', { isDeleting: true, finalizers: ['foregroundDeletion'] }), {}, [node('c', { owners: ['a'] })]),
      'removeFinalizer',
    ],
    [
      'releases the dependents of an object that orphans them',
      verdict(node('a', { isDeleting: true, finalizers: ['orphan'] }), {}, [child]),
      'releaseDependents',
    ],
    ['then lets it go', verdict(node('a', { isDeleting: true, finalizers: ['orphan'] }), {}), 'removeFinalizer'],
  ]
  test.each(cases)('%s', (_name, seen, expected) => {
    expect(seen.kind).toBe(expected)
  })

  test('keeps exactly the living owners', () => {
    const seen = verdict(node('x', { owners: ['a', 'b', 'c'] }), { b: 'solid', c: 'waiting' })
    expect(seen).toMatchObject({ kind: 'disown', owners: [{ uid: 'b' }] })
  })

  test('passes the patience of a waiting owner on to what has dependents itself', () => {
    const below = node('below', { owners: ['x'] })
    expect(verdict(node('x', { owners: ['a'] }), { a: 'waiting' }, [below])).toEqual({
      kind: 'delete',
      propagation: 'Foreground',
    })
    expect(verdict(node('x', { owners: ['a'] }), { a: 'waiting' })).toEqual({
      kind: 'delete',
      propagation: 'Background',
    })
    expect(verdict(node('x', { owners: ['a'], finalizers: ['orphan'] }), {})).toEqual({
      kind: 'delete',
      propagation: 'Orphan',
    })
  })
})
