import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { KubeObject } from './resource.ts'
import { createStore, keyOfObject, labelIndex, type Change } from './store.ts'

interface Item extends KubeObject {
  readonly metadata: {
    name: string
    namespace: string
    uid: string
    resourceVersion: string
    labels: { model: string }
  }
}

function item(name: string, resourceVersion: number, model = 'm', uid = `uid-${name}`): Item {
  return Object.freeze({
    metadata: Object.freeze({
      name,
      namespace: 'ns',
      uid,
      resourceVersion: String(resourceVersion),
      labels: { model },
    }),
  })
}

function watched() {
  const store = createStore<Item>({ indexes: { model: labelIndex('model') } })
  const changes: string[] = []
  store.subscribe((change) => changes.push(`${change.type} ${change.object.metadata.name}`))
  return { store, changes }
}

describe('a store', () => {
  test('announces what a new state adds, changes and takes away, and nothing else', () => {
    const { store, changes } = watched()
    store.replace([item('same', 1), item('changed', 2), item('gone', 3)])
    changes.length = 0
    store.replace([item('same', 1), item('changed', 4), item('new', 5)])
    expect(changes.sort()).toEqual(['added new', 'deleted gone', 'updated changed'])
  })

  test('an object of the same name and another uid is another object', () => {
    const { store, changes } = watched()
    store.put(item('a', 1, 'm', 'one'))
    store.put(item('a', 2, 'm', 'two'))
    expect(changes).toEqual(['added a', 'deleted a', 'added a'])
  })

  test('tells a late listener what is there, until it leaves', () => {
    const { store } = watched()
    store.put(item('a', 1))
    const late: Change<Item>[] = []
    const leave = store.subscribe((change) => late.push(change))
    leave()
    store.put(item('b', 2))
    expect(late).toEqual([{ type: 'added', object: item('a', 1) }])
  })

  test('a listener that throws does not keep others from hearing', () => {
    const errors: unknown[] = []
    const store = createStore<Item>({ onListenerError: (error) => errors.push(error) })
    const heard: string[] = []
    store.subscribe(() => {
      throw new Error('bad listener')
    })
    store.subscribe(({ object }) => heard.push(object.metadata.name))
    store.put(item('a', 1))
    expect(heard).toEqual(['a'])
    expect(errors).toHaveLength(1)
  })

  test('an unknown index is named', () => {
    expect(() => createStore<Item>().byIndex('model', 'm')).toThrow('the store has no index model; it has owner')
  })

  test('finds by owner', () => {
    const store = createStore<KubeObject>()
    const owned = (name: string, uid: string): KubeObject => ({
      metadata: {
        name,
        uid: name,
        resourceVersion: '1',
        ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: 'o', uid }],
      },
    })
    store.put(owned('a', 'x'))
    store.put(owned('b', 'y'))
    expect(store.ownedBy('x').map(keyOfObject)).toEqual(['a'])
  })
})

describe('laws', () => {
  type Act = { do: 'put' | 'remove'; name: string; model: string } | { do: 'replace'; names: string[]; model: string }
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const model = fc.constantFrom('x', 'y')
  const act: fc.Arbitrary<Act> = fc.oneof(
    fc.record({ do: fc.constantFrom('put' as const, 'remove' as const), name, model }),
    fc.record({ do: fc.constant('replace' as const), names: fc.uniqueArray(name), model }),
  )

  test('indexes agree with the objects, and changes alone rebuild the content', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        const store = createStore<Item>({ indexes: { model: labelIndex('model') } })
        const rebuilt = new Map<string, Item>()
        store.subscribe((change) => {
          const key = keyOfObject(change.object)
          expect(rebuilt.has(key)).toBe(change.type !== 'added')
          if (change.type === 'updated') expect(rebuilt.get(key)).toBe(change.previous)
          if (change.type === 'deleted') rebuilt.delete(key)
          else rebuilt.set(key, change.object)
        })
        acts.forEach((each, version) => {
          if (each.do === 'replace') store.replace(each.names.map((name) => item(name, version, each.model)))
          else if (each.do === 'put') store.put(item(each.name, version, each.model))
          else store.remove(item(each.name, version, each.model))
        })
        expect(new Set(store.list())).toEqual(new Set(rebuilt.values()))
        expect(store.list('ns')).toHaveLength(store.size)
        for (const value of ['x', 'y']) {
          const scanned = store.list().filter((each) => each.metadata.labels.model === value)
          expect(new Set(store.byIndex('model', value))).toEqual(new Set(scanned))
        }
      }),
    )
  })
})
