import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createClient } from './client.ts'
import { answerJson, answerStatus, eventually, startFakeServer, type FakeServer } from './fake-server.ts'
import { systemClock, type Clock } from './clock.ts'
import type { Log } from './log.ts'
import { createReflector, type Reflector, type ReflectorOptions } from './reflector.ts'
import type { KubeObject } from './resource.ts'
import { readAs, POD } from './resources.ts'
import { createTransport } from './transport.ts'

interface Thing extends KubeObject {
  readonly spec?: { readonly text: string }
}
const THINGS = readAs<Thing>(POD)

/** What the server does to a request instead of what it should. */
type Fault =
  | 'gone'
  | 'throttle'
  | 'error'
  | 'drop'
  | 'garbage'
  | 'half-event'
  | 'silence'
  | 'not-found'
  | 'error-event'
  | 'expired-event'

/** A small API server for one resource, with a history, and with faults that the test plans. */
class ThingServer {
  readonly objects = new Map<string, Thing>()
  readonly history: { version: number; line: string }[] = []
  readonly watches = new Set<ServerResponse>()
  /** Consumed one for each request. */
  faults: Fault[] = []
  streamsState = true
  version = 10
  /** Watches from before this are refused with 410. */
  oldest = 0
  readonly lists: string[] = []
  readonly watched: URL[] = []

  put(name: string, text: string): void {
    this.version++
    const isNew = !this.objects.has(name)
    const metadata = { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: String(this.version) }
    const object = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { text } }
    this.objects.set(name, object)
    this.send(isNew ? 'ADDED' : 'MODIFIED', object)
  }

  remove(name: string): void {
    const object = this.objects.get(name)
    if (object === undefined) return
    this.version++
    this.objects.delete(name)
    this.send('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } })
  }

  bookmark(annotations: object = {}): string {
    const metadata = { resourceVersion: String(this.version), annotations }
    return `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Pod', metadata } })}\n`
  }

  /** Forgets the history: who comes back with an old version must list again. */
  compact(): void {
    this.history.length = 0
    this.oldest = this.version
  }

  dropWatches(): void {
    for (const watch of this.watches) watch.socket?.destroy()
    this.watches.clear()
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://x')
    const isWatch = url.searchParams.get('watch') === '1'
    if (isWatch) this.watched.push(url)
    else this.lists.push(url.search)
    const fault = this.faults.shift()
    if (fault !== undefined) return misbehave(fault, request, response)
    if (isWatch) this.watch(url, response)
    else this.list(url, response)
  }

  private send(type: string, object: Thing): void {
    const line = `${JSON.stringify({ type, object })}\n`
    this.history.push({ version: this.version, line })
    for (const watch of this.watches) watch.write(line)
  }

  private list(url: URL, response: ServerResponse): void {
    const limit = Number(url.searchParams.get('limit') ?? Infinity)
    const start = Number(url.searchParams.get('continue') ?? 0)
    const all = [...this.objects.values()]
    const end = start + limit
    const metadata = { resourceVersion: String(this.version), ...(end < all.length && { continue: String(end) }) }
    answerJson(response, 200, { kind: 'PodList', metadata, items: all.slice(start, end) })
  }

  private watch(url: URL, response: ServerResponse): void {
    const from = url.searchParams.get('resourceVersion')
    const wantsState = url.searchParams.get('sendInitialEvents') === 'true'
    if (wantsState && !this.streamsState) return answerStatus(response, 422, 'Invalid')
    if (from !== null && Number(from) < this.oldest) return answerStatus(response, 410, 'Expired')
    response.writeHead(200)
    response.flushHeaders()
    if (wantsState) {
      for (const object of this.objects.values()) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
      response.write(this.bookmark({ 'k8s.io/initial-events-end': 'true' }))
    } else {
      for (const { version, line } of this.history) if (version > Number(from)) response.write(line)
    }
    this.watches.add(response)
    response.on('close', () => this.watches.delete(response))
  }
}

function misbehave(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
  switch (fault) {
    case 'gone':
      return answerStatus(response, 410, 'Expired')
    case 'throttle':
      return answerStatus(response, 429, 'TooManyRequests', { 'retry-after': '0' })
    case 'error':
      return answerStatus(response, 500, 'InternalError')
    case 'not-found':
      return answerStatus(response, 404, 'NotFound')
    case 'drop':
      return void request.socket.destroy()
    case 'garbage':
      return void response.end('<html>\n{"type":"ADDED"\n')
    case 'half-event':
      return void response.write('{"type":"ADDED","object":{"metadata":{"na', () => request.socket.destroy())
    case 'silence':
      return response.flushHeaders()
    case 'error-event':
      return void response.end('{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n')
    case 'expired-event':
      return void response.end('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
    default:
      return fault satisfies never
  }
}

let closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.reverse()) await close()
  closers = []
})

async function serve(): Promise<{ things: ThingServer; server: FakeServer }> {
  const things = new ThingServer()
  const server = await startFakeServer((request, response) => things.handle(request, response))
  closers.push(() => server.close())
  return { things, server }
}

function reflect(server: FakeServer, options: Partial<ReflectorOptions<Thing>> = {}) {
  const transport = createTransport(server.config, { maxRetries: 0 })
  const { tuning, ...rest } = options
  const reflector = createReflector<Thing>({
    client: createClient(transport),
    resource: THINGS,
    namespace: 'ns',
    tuning: { backoff: { baseMs: 1, capMs: 5 }, idleMs: 150, ...tuning },
    ...rest,
  })
  const changes: string[] = []
  reflector.store.subscribe((change) => changes.push(`${change.type} ${change.object.metadata?.name}`))
  closers.push(() => transport.close())
  closers.push(() => reflector.stop())
  reflector.start()
  return { reflector, changes }
}

function contents(reflector: Reflector<Thing>): string {
  return textOf(reflector.store.list())
}

function textOf(objects: Iterable<Thing>): string {
  return JSON.stringify([...objects].map((each) => [each.metadata?.name, each.spec?.text]).sort())
}

describe('the first state', () => {
  test.each([true, false])(
    'comes before synced (as a stream: %s), and the watch goes on from it',
    async (streamsState) => {
      const { things, server } = await serve()
      things.streamsState = streamsState
      for (const name of ['a', 'b', 'c']) things.put(name, 'ü€😀')
      // A stream that says nothing for `idleMs` is given up for a list: on a busy machine that may be longer than other tests allow.
      const { reflector, changes } = reflect(server, { tuning: { pageSize: 2, idleMs: 60_000 } })
      expect(reflector.hasSynced()).toBe(false)
      await reflector.synced
      expect(reflector.hasSynced()).toBe(true)
      expect(contents(reflector)).toBe(textOf(things.objects.values()))
      await eventually('a watch', () => things.watches.size === 1)
      things.put('a', 'changed')
      things.remove('b')
      await eventually('the changes', () => changes.length === 5)
      expect(changes).toEqual(['added a', 'added b', 'added c', 'updated a', 'deleted b'])
      expect(things.lists).toHaveLength(streamsState ? 0 : 2)
      expect(things.watched).toHaveLength(streamsState ? 1 : 2)
    },
  )

  test('is listed when the server ignores that it should be streamed', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    things.faults = ['silence']
    const { reflector } = reflect(server)
    await reflector.synced
    expect(contents(reflector)).toBe('[["a","1"]]')
    expect(things.lists).toHaveLength(1)
  })

  test('pages that expire half-way are asked for again in one answer', async () => {
    const { things, server } = await serve()
    things.streamsState = false
    for (const name of ['a', 'b', 'c']) things.put(name, '1')
    const handle = things.handle.bind(things)
    things.handle = (request, response) =>
      request.url?.includes('continue=') === true ? misbehave('gone', request, response) : handle(request, response)
    const { reflector } = reflect(server, { tuning: { pageSize: 2, watchList: false } })
    await reflector.synced
    expect(reflector.store.size).toBe(3)
    expect(things.lists.at(-1)).toBe('')
  })

  test('a kind that is not there yet is waited for, with a clear line in the log', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    things.faults = ['not-found', 'not-found']
    const lines: string[] = []
    const log: Log = { debug() {}, info() {}, warn: (_, line) => lines.push(line), error() {} }
    const { reflector } = reflect(server, { log })
    await reflector.synced
    expect(reflector.store.size).toBe(1)
    expect(lines[0]).toContain('is its CustomResourceDefinition installed?')
  })
})

describe('what happens to a watch', () => {
  const faults: Fault[] = [
    'gone',
    'throttle',
    'error',
    'drop',
    'garbage',
    'half-event',
    'silence',
    'not-found',
    'error-event',
    'expired-event',
  ]

  test.each(faults)('%s: nothing is missed', async (fault) => {
    const { things, server } = await serve()
    for (const name of ['a', 'b']) things.put(name, '1')
    const { reflector, changes } = reflect(server)
    await reflector.synced
    things.faults = [fault, fault]
    things.dropWatches()
    things.put('a', '2')
    things.remove('b')
    things.put('c', '1')
    await eventually('the same state', () => contents(reflector) === textOf(things.objects.values()))
    expect(changes.slice(2).sort()).toEqual(['added c', 'deleted b', 'updated a'])
  })

  test('a deletion in a history that is gone is announced, with the last state that was seen', async () => {
    const { things, server } = await serve()
    things.put('a', 'last words')
    const { reflector } = reflect(server)
    await reflector.synced
    const last: (string | undefined)[] = []
    reflector.store.subscribe(({ type, object }) => type === 'deleted' && last.push(object.spec?.text))
    things.faults = ['drop', 'drop', 'drop']
    things.dropWatches()
    things.remove('a')
    things.compact()
    await eventually('the deletion', () => last.length === 1)
    expect(last).toEqual(['last words'])
  })

  test('after a bookmark it goes on from there, though nothing of ours changed', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    const heard: string[] = []
    const event = (_: string, type: string) => heard.push(type)
    const { reflector } = reflect(server, { metrics: { listed() {}, watchStarted() {}, failed() {}, event } })
    await reflector.synced
    things.version = 500
    for (const watch of things.watches) watch.write(things.bookmark())
    await eventually('the bookmark', () => heard.includes('BOOKMARK'))
    things.compact()
    things.dropWatches()
    await eventually('the next watch', () => things.watches.size === 1)
    expect(things.watched.map((each) => each.searchParams.get('resourceVersion'))).toEqual([null, '500'])
    expect(things.lists).toHaveLength(0)
  })

  test('an expired history is not asked for twice: the whole state comes next', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    const { reflector } = reflect(server)
    await reflector.synced
    things.put('a', '2')
    await eventually('the change', () => reflector.store.list()[0]?.spec?.text === '2')
    things.version = 500
    things.compact()
    things.dropWatches()
    await eventually('the next watch', () => things.watches.size === 1)
    expect(things.watched.map((each) => each.searchParams.get('resourceVersion'))).toEqual([null, '12', null])
  })

  test('a connection that is open and dead is given up', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    const { reflector } = reflect(server)
    await reflector.synced
    things.watches.clear() // The server forgets the watch, and the connection stays.
    things.put('a', '2')
    await eventually('the change', () => reflector.store.get({ namespace: 'ns', name: 'a' })?.spec?.text === '2')
  })

  test('a quiet resource is no dead connection: after the initial state the long silence is allowed', async () => {
    const { things, server } = await serve()
    things.put('a', '1')
    const pending = new Set<number>()
    const after: Clock['after'] = (delayMs, callback) => {
      pending.add(delayMs)
      const cancel = systemClock.after(delayMs, callback)
      return () => {
        pending.delete(delayMs)
        cancel()
      }
    }
    const { reflector } = reflect(server, { clock: { ...systemClock, after }, tuning: { idleMs: 50_000 } })
    await reflector.synced
    await eventually('the long watchdog', () => pending.has(50_000))
    expect([...pending]).toEqual([50_000])
  })

  test('characters and events may be cut anywhere', async () => {
    const { things, server } = await serve()
    const { reflector } = reflect(server)
    await reflector.synced
    const watch = [...things.watches][0]
    things.watches.clear()
    things.put('a', 'ü€😀')
    things.put('b', '漢字')
    for (const byte of Buffer.from(things.history.map((each) => each.line).join(''))) {
      watch?.write(Buffer.of(byte))
      if (byte > 127) await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually('both', () => contents(reflector) === textOf(things.objects.values()))
  })
})

describe('a reflector', () => {
  test('keeps only what the prune hook leaves', async () => {
    const { things, server } = await serve()
    things.put('a', 'long')
    const { reflector } = reflect(server, { prune: ({ metadata }) => ({ metadata: metadata ?? {} }) })
    await reflector.synced
    expect(reflector.store.list()[0]?.spec).toBeUndefined()
    expect(reflector.store.list()[0]?.metadata?.name).toBe('a')
  })

  test('sends its selectors', async () => {
    const { things, server } = await serve()
    const { reflector } = reflect(server, { labelSelector: 'a=b', fieldSelector: 'spec.nodeName=n' })
    await reflector.synced
    expect(things.watched[0]?.searchParams.get('labelSelector')).toBe('a=b')
    expect(things.watched[0]?.searchParams.get('fieldSelector')).toBe('spec.nodeName=n')
  })

  test('stops while it waits, and leaves no connection busy', async () => {
    const { things, server } = await serve()
    things.faults = Array.from({ length: 1000 }, () => 'error' as const)
    const { reflector } = reflect(server, { tuning: { backoff: { baseMs: 60_000, capMs: 60_000 } } })
    await eventually('a first try', () => server.requests.length > 0)
    await reflector.stop()
    expect(things.watches.size).toBe(0)
  })

  test('converges and announces every change, whatever the order of changes and faults', async () => {
    type Act = { do: 'put' | 'remove'; name: string } | { do: 'drop' | 'compact' } | { do: 'fault'; fault: Fault }
    const name = fc.constantFrom('a', 'b', 'c')
    const quick = (
      ['gone', 'throttle', 'error', 'drop', 'garbage', 'half-event', 'error-event', 'expired-event'] as const
    ).slice()
    const act: fc.Arbitrary<Act> = fc.oneof(
      { arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'remove' as const), name }), weight: 5 },
      { arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'compact' as const) }), weight: 2 },
      { arbitrary: fc.record({ do: fc.constant('fault' as const), fault: fc.constantFrom(...quick) }), weight: 2 },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 25 }), fc.boolean(), async (acts, watchList) => {
        const { things, server } = await serve()
        const { reflector } = reflect(server, { tuning: { watchList, idleMs: 60_000 } })
        const rebuilt = new Map<string, Thing>()
        reflector.store.subscribe(({ type, object }) => {
          const key = object.metadata?.name ?? ''
          if (type === 'deleted') rebuilt.delete(key)
          else rebuilt.set(key, object)
        })
        await reflector.synced
        for (const [index, each] of acts.entries()) {
          if (each.do === 'put') things.put(each.name, String(index))
          else if (each.do === 'remove') things.remove(each.name)
          else if (each.do === 'fault') things.faults.push(each.fault)
          else if (each.do === 'compact') things.compact()
          else things.dropWatches()
          if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        things.faults = []
        const wanted = textOf(things.objects.values())
        await eventually(`state ${wanted}`, () => contents(reflector) === wanted)
        expect(textOf(rebuilt.values())).toBe(wanted)
        await reflector.stop()
        await server.close()
      }),
      { numRuns: 40 },
    )
  })
})
