import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Cache, type Change } from './cache.ts'
import { examplePod } from './examples.ts'
import type { Pod } from './objects.ts'

function version(resourceVersion: number, name = 'a'): Pod {
  const pod = examplePod(name)
  return { ...pod, metadata: { ...pod.metadata, resourceVersion: String(resourceVersion) } }
}

function versionIn(cache: Cache<Pod>): string | undefined {
  return cache.get('default/a')?.metadata.resourceVersion
}

describe('the cache', () => {
  test('shows the answer to a write before the watch tells of it', () => {
    const cache = new Cache<Pod>()
    cache.absorb(version(5))
    expect(versionIn(cache)).toBe('5')
    cache.seen(version(4))
    expect(versionIn(cache)).toBe('5')
  })

  test('does not bring an object back by an answer that comes after the watch showed its end', () => {
    const cache = new Cache<Pod>()
    cache.seen(version(5))
    cache.seenGone(version(6))
    cache.absorb(version(5))
    expect(versionIn(cache)).toBeUndefined()
  })

  test('keeps a new object of the same name when the end of the old one is told late', () => {
    const cache = new Cache<Pod>()
    cache.absorb(version(7))
    cache.seenGone(version(6))
    expect(versionIn(cache)).toBe('7')
  })

  test('finds objects by namespace and by controller', () => {
    const cache = new Cache<Pod>()
    const owned = examplePod('b', { owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'uid-rs' } })
    cache.seen(version(1))
    cache.seen(owned)
    expect(cache.inNamespace('default')).toHaveLength(2)
    expect(cache.controlledBy('uid-rs')).toEqual([owned])
    cache.seenGone({ ...owned, metadata: { ...owned.metadata, resourceVersion: '9' } })
    expect(cache.controlledBy('uid-rs')).toEqual([])
  })

  test('takes an accepted delete for granted until the watch tells more', () => {
    const cache = new Cache<Pod>()
    const changes: Change<Pod>[] = []
    cache.seen(version(1))
    cache.subscribe((change) => changes.push(change))
    cache.assumeDeleting(version(1), '2026-01-01T00:00:00Z')
    expect(cache.get('default/a')?.metadata.deletionTimestamp).toBe('2026-01-01T00:00:00Z')
    expect(changes).toHaveLength(1)
    cache.seenGone(version(2))
    expect(cache.get('default/a')).toBeUndefined()
  })

  test('ends as the watch does, however the answers to writes fall in between', () => {
    const history = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.nat(25)), (exists, positions) => {
        const cache = new Cache<Pod>()
        const answers = exists.map((isThere, index) => ({ isThere, index, at: index + (positions.next().value ?? 0) }))
        for (let step = 0; step < exists.length + 30; step++) {
          const isThere = exists[step]
          if (isThere === true) cache.seen(version(step + 1))
          if (isThere === false) cache.seenGone(version(step + 1))
          for (const answer of answers)
            if (answer.at === step && answer.isThere) cache.absorb(version(answer.index + 1))
        }
        const last = exists.at(-1) === true ? String(exists.length) : undefined
        expect(versionIn(cache)).toBe(last)
      }),
    )
  })
})
