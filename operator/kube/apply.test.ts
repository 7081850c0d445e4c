import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createApplier, type Applied, type Applier } from './apply.ts'
import { createClient } from './client.ts'
import { ApiError } from './errors.ts'
import type { KubeObject } from './resource.ts'
import { resource } from './resources.ts'
import type { Call, Transport } from './transport.ts'

interface Widget extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>
}
const WIDGET = resource<Widget>('example.dev/v1', 'Widget', 'widgets')
const NAME = { namespace: 'ns', name: 'w' }
const OWNER = { kind: 'Maker', name: 'maker', uid: 'maker-uid' }

type Leaves = Map<string, unknown>

/** Server-side apply for objects of maps and scalars, which is all that these tests apply. */
class WidgetServer implements Transport {
  #leaves: Leaves | undefined
  #managers = new Map<string, Set<string>>()
  #version = 0
  #uid = 0
  readonly writes: string[] = []
  /** How this server wants a value written. */
  normalise = (_path: string, value: unknown): unknown => value

  async json(call: Call): Promise<unknown> {
    if (call.method === 'GET') {
      if (this.#leaves === undefined) throw refusal(404, 'NotFound')
      return this.live
    }
    const parameters = new URL(call.path, 'http://x').searchParams
    this.writes.push(`${call.method} ${parameters.get('fieldManager')}`)
    const { metadata, ...rest } = call.body as Widget
    if (metadata?.resourceVersion !== undefined && metadata.resourceVersion !== String(this.#version))
      throw refusal(409, 'Conflict')
    const { ownerReferences: _, ...managed } = {
      ...metadata,
      name: undefined,
      namespace: undefined,
      resourceVersion: undefined,
    }
    const sent = leavesOf({ metadata: managed, spec: rest.spec })
    const before = this.text()
    if (this.#leaves === undefined) this.#uid++
    this.apply(parameters.get('fieldManager') ?? '', sent, parameters.get('force') === 'true')
    if (this.text() !== before) this.#version++
    return this.live
  }

  stream(): never {
    throw new Error('not in this test')
  }

  close(): void {}

  get live(): Widget {
    const metadata = {
      ...NAME,
      uid: `uid-${this.#uid}`,
      resourceVersion: String(this.#version),
      ownerReferences: [{ apiVersion: 'v1', ...OWNER, controller: true }],
      managedFields: [...this.#managers].map(([manager, paths]) => ({
        manager,
        operation: 'Apply',
        apiVersion: 'example.dev/v1',
        fieldsV1: fieldsOf(paths),
      })),
    }
    const { spec, metadata: own } = treeOf(this.#leaves ?? new Map<string, unknown>()) as {
      spec?: object
      metadata?: object
    }
    return structuredClone({
      apiVersion: 'example.dev/v1',
      kind: 'Widget',
      metadata: { ...own, ...metadata },
      spec: spec ?? {},
    }) as Widget
  }

  /** Somebody else updates one field. */
  foreign(path: string, value: unknown): void {
    this.#leaves ??= new Map()
    if (this.#leaves.get(path) !== value) for (const paths of this.#managers.values()) paths.delete(path)
    this.#leaves.set(path, value)
    this.#version++
  }

  remove(): void {
    this.#leaves = undefined
    this.#managers = new Map()
  }

  private apply(manager: string, sent: Leaves, force: boolean): void {
    this.#leaves ??= new Map()
    const previous = this.#managers.get(manager) ?? new Set()
    for (const [path, raw] of sent) {
      const value = this.normalise(path, raw)
      const others = [...this.#managers].filter(([name, paths]) => name !== manager && paths.has(path))
      const isConflict = others.length > 0 && this.#leaves.get(path) !== value
      if (isConflict && !force) throw refusal(409, 'Conflict')
      if (isConflict) others.forEach(([, paths]) => paths.delete(path))
      this.#leaves.set(path, value)
    }
    this.#managers.set(manager, new Set(sent.keys()))
    for (const path of previous) {
      const isOwned = [...this.#managers.values()].some((paths) => paths.has(path))
      if (!isOwned) this.#leaves.delete(path)
    }
  }

  private text(): string {
    return JSON.stringify([
      [...(this.#leaves ?? [])].sort(),
      [...this.#managers].map(([name, paths]) => [name, [...paths].sort()]),
    ])
  }
}

function refusal(code: number, reason: string): ApiError {
  return new ApiError({ code, reason, message: reason, causes: [] })
}

function leavesOf(value: unknown, path = ''): Leaves {
  if (typeof value !== 'object' || value === null) return new Map(value === undefined ? [] : [[path, value]])
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [...leavesOf(inner, path === '' ? key : `${path}/${key}`)]),
  )
}

function treeOf(leaves: Leaves): object {
  const root: Record<string, unknown> = {}
  for (const [path, value] of leaves) {
    const keys = path.split('/')
    const last = keys.pop() ?? ''
    const parent = keys.reduce<Record<string, unknown>>(
      (node, key) => (node[key] ??= {}) as Record<string, unknown>,
      root,
    )
    parent[last] = value
  }
  return root
}

function fieldsOf(paths: Iterable<string>): object {
  return treeOf(
    new Map(
      [...paths].map((path) => [
        path
          .split('/')
          .map((key) => `f:${key}`)
          .join('/'),
        {},
      ]),
    ),
  )
}

function setUp() {
  const server = new WidgetServer()
  const client = createClient(server)
  const applier = createApplier({ client, fieldManager: 'us' })
  return { server, client, applier }
}

function widget(spec: Record<string, unknown>): Widget {
  return { metadata: NAME, spec }
}

async function applied(
  applier: Applier,
  server: WidgetServer,
  spec: Record<string, unknown>,
  initially?: object,
): Promise<Applied<Widget>> {
  const live = server.live.metadata?.resourceVersion === '0' ? undefined : server.live
  return applier.apply({
    resource: WIDGET,
    desired: widget(spec),
    live,
    owner: OWNER,
    ...(initially !== undefined && { initially }),
  })
}

describe('apply', () => {
  test('creates, then does nothing, without a call', async () => {
    const { server, applier } = setUp()
    expect((await applied(applier, server, { a: 1 })).outcome).toBe('created')
    expect((await applied(applier, server, { a: 1 })).outcome).toBe('unchanged')
    expect(server.writes).toEqual(['PATCH us'])
  })

  test('a new process, which remembers nothing, needs no call either', async () => {
    const { server, applier, client } = setUp()
    await applied(applier, server, { a: 1 })
    const next = createApplier({ client, fieldManager: 'us' })
    expect((await applied(next, server, { a: 1 })).outcome).toBe('unchanged')
    expect(server.writes).toHaveLength(1)
  })

  test('a foreign change of our field is undone, one of another field is not noticed', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1 })
    server.foreign('spec/theirs', 'x')
    expect((await applied(applier, server, { a: 1 })).outcome).toBe('unchanged')
    server.foreign('spec/a', 2)
    expect(await applied(applier, server, { a: 1 })).toMatchObject({
      outcome: 'applied',
      because: [{ path: 'spec.a', live: 2 }],
    })
    expect(server.live.spec).toEqual({ a: 1, theirs: 'x' })
  })

  test('a field that we want no more goes away', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1, b: 2 })
    expect((await applied(applier, server, { a: 1 })).outcome).toBe('applied')
    expect(server.live.spec).toEqual({ a: 1 })
  })

  test('a server that writes a value its own way is asked once, and again only when something changes', async () => {
    const { server, applier } = setUp()
    server.normalise = (path, value) => (path === 'spec/a' ? String(value).toUpperCase() : value)
    await applied(applier, server, { a: 'x' })
    for (let i = 0; i < 5; i++) {
      server.foreign('status', i) // Its resourceVersion moves on all the time.
      expect((await applied(applier, server, { a: 'x' })).outcome).toBe('unchanged')
    }
    server.foreign('spec/a', 'other')
    expect((await applied(applier, server, { a: 'x' })).outcome).toBe('applied')
    expect((await applied(applier, server, { a: 'y' })).outcome).toBe('applied')
    expect(server.writes).toHaveLength(3)
  })

  test('a cache that has not seen our write yet does not make us write again', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1 })
    const stale = server.live
    await applied(applier, server, { a: 2 })
    const again = await applier.apply({ resource: WIDGET, desired: widget({ a: 2 }), live: stale, owner: OWNER })
    expect(again.outcome).toBe('unchanged')
    expect(server.writes).toHaveLength(2)
  })

  test('a cache that does not know the object yet does not make us overwrite what somebody else made', async () => {
    const { server, applier } = setUp()
    server.foreign('spec/a', 'theirs')
    const owner = { kind: 'Maker', name: 'other', uid: 'other-uid' }
    const outcome = await applier.apply({ resource: WIDGET, desired: widget({ a: 1 }), live: undefined, owner })
    expect(outcome).toMatchObject({ outcome: 'refused', conflict: { reason: 'OtherController' } })
    expect(server.writes).toEqual([])
  })

  test('an object made anew after it was deleted is applied to again', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1 })
    server.remove()
    server.foreign('spec/b', 1)
    const outcome = await applier.apply({
      resource: WIDGET,
      desired: widget({ a: 1 }),
      live: { ...server.live, metadata: { ...server.live.metadata, uid: 'new' } },
    })
    expect(outcome.outcome).toBe('applied')
  })

  test('an object that is being deleted is left alone', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1 })
    const metadata = { ...server.live.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' }
    const outcome = await applier.apply({
      resource: WIDGET,
      desired: widget({ a: 2 }),
      live: { ...server.live, metadata },
    })
    expect(outcome.outcome).toBe('terminating')
    expect(server.writes).toHaveLength(1)
  })
})

describe('fields that only a new object gets', () => {
  const initially = { spec: { replicas: 3 } }

  test('keep their value, whoever changed it, and even when we apply other changes', async () => {
    const { server, applier } = setUp()
    await applied(applier, server, { a: 1 }, initially)
    expect(server.live.spec).toEqual({ a: 1, replicas: 3 })
    expect((await applied(applier, server, { a: 1 }, initially)).outcome).toBe('unchanged')
    await applied(applier, server, { a: 2 }, initially)
    expect(server.live.spec).toEqual({ a: 2, replicas: 3 })
    server.foreign('spec/replicas', 7)
    expect((await applied(applier, server, { a: 2 }, initially)).outcome).toBe('unchanged')
    await applied(applier, server, { a: 3 }, initially)
    expect(server.live.spec).toEqual({ a: 3, replicas: 7 })
  })

  test('survive a new process, which settles in two calls', async () => {
    const { server, applier, client } = setUp()
    await applied(applier, server, { a: 1 }, initially)
    const next = createApplier({ client, fieldManager: 'us' })
    await applied(next, server, { a: 1 }, initially)
    expect((await applied(next, server, { a: 1 }, initially)).outcome).toBe('unchanged')
    expect(server.live.spec).toEqual({ a: 1, replicas: 3 })
    expect(server.writes).toEqual(['PATCH us', 'PATCH us-initially', 'PATCH us'])
  })

  test('are not handed over with a value that has changed since', async () => {
    const { server, applier, client } = setUp()
    await applied(applier, server, { a: 1 }, initially)
    const stale = server.live
    server.foreign('spec/replicas', 9)
    const next = createApplier({ client, fieldManager: 'us' })
    const late = next.apply({ resource: WIDGET, desired: widget({ a: 1 }), live: stale, initially })
    await expect(late).rejects.toMatchObject({ code: 409 })
    expect(server.live.spec).toEqual({ a: 1, replicas: 9 })
  })
})

describe('laws', () => {
  type Act =
    { do: 'want'; spec: Record<string, unknown> } | { do: 'foreign'; key: string; value: number } | { do: 'restart' }
  const key = fc.constantFrom('a', 'b', 'c')
  const act: fc.Arbitrary<Act> = fc.oneof(
    fc.record({ do: fc.constant('want' as const), spec: fc.dictionary(key, fc.nat(3), { minKeys: 1 }) }),
    fc.record({ do: fc.constant('foreign' as const), key, value: fc.nat(5) }),
    fc.record({ do: fc.constant('restart' as const) }),
  )

  test('after an apply our fields are as desired, the next one is no call, and fields of others are as they left them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 20 }), fc.boolean(), async (acts, isFussy) => {
        const { server, client } = setUp()
        if (isFussy) server.normalise = (path, value) => (path === 'spec/a' ? `~${String(value)}` : value)
        const asStored = (spec: Record<string, unknown>) =>
          Object.fromEntries(Object.entries(spec).map(([key, value]) => [key, server.normalise(`spec/${key}`, value)]))
        let applier = createApplier({ client, fieldManager: 'us' })
        let spec: Record<string, unknown> = { a: 0 }
        const theirs = new Map<string, number>()
        for (const each of [{ do: 'restart' } as const, ...acts]) {
          if (each.do === 'want') spec = each.spec
          else if (each.do === 'restart') applier = createApplier({ client, fieldManager: 'us' })
          else {
            server.foreign(`spec/${each.key}`, each.value)
            theirs.set(each.key, each.value)
          }
          await applied(applier, server, spec)
          expect(server.live.spec).toMatchObject(asStored(spec))
          for (const ours of Object.keys(spec)) theirs.delete(ours)
          expect(server.live.spec).toMatchObject(Object.fromEntries(theirs))
          const writes = server.writes.length
          expect((await applied(applier, server, spec)).outcome).toBe('unchanged')
          expect(server.writes).toHaveLength(writes)
        }
      }),
    )
  })
})
