import { createReflector, type Reflector } from '../../../operator/kube/reflector.ts'
import { apiVersionOf, type Resource } from '../../../operator/kube/resource.ts'
import type { Controller } from '../controller.ts'
import { discoverResources } from '../discovery.ts'
import type { OwnerReference } from '../objects.ts'
import type { World } from '../world.ts'
import { Graph } from './graph.ts'
import { deleteNode, fetchOwner, metadataOnly, nodeOf, patchNode } from './objects.ts'
import { judge, waitsForDependents, type Node, type OwnerState, type Verdict } from './plan.ts'

/** The key that stands for "the kinds of objects may have changed"; no uid looks like it. */
const KINDS = 'kinds'
/** They own nothing, vanish by themselves, and come in crowds. */
const IGNORED_KIND = 'Event'
const MAX_REMEMBERED_GONE = 10_000

export interface GarbageCollector extends Controller {
  /** Resolves once every kind of object that is served now is known and watched. */
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Deletes what nobody owns any more, and carries foreground and orphaning deletion out. Keys are uids.
 *
 * It watches the metadata of every kind that can be deleted, custom ones too as they come. An owner that it does not see it asks
 * the API server for, by name and uid, before it takes it for gone.
 */
export function garbageCollector(world: World): GarbageCollector {
  const graph = new Graph()
  const reflectors = new Map<string, Reflector<never>>()
  const collector = { world, graph, gone: new Set<string>(), enqueue: (_key: string): void => {} }
  const follow = (): Promise<void> => followKinds(collector, reflectors)
  return {
    name: 'garbage',
    watch(enqueue) {
      collector.enqueue = enqueue
      world.customResourceDefinitions.cache.subscribe(() => enqueue(KINDS))
    },
    start: follow,
    async stop() {
      await Promise.all([...reflectors.values()].map((reflector) => reflector.stop()))
    },
    async sync(key) {
      if (key === KINDS) await follow()
      else await collect(collector, key)
      return undefined
    },
  }
}

interface Collector {
  readonly world: World
  readonly graph: Graph
  /** Uids of owners that the API server said are gone; uids never come back. */
  readonly gone: Set<string>
  enqueue(key: string): void
}

async function followKinds(collector: Collector, reflectors: Map<string, Reflector<never>>): Promise<void> {
  const { client, log } = collector.world
  const served = new Map(
    followed(await discoverResources(client)).map((resource) => [nameOfResource(resource), resource]),
  )
  for (const [name, reflector] of reflectors) {
    if (served.has(name)) continue
    reflectors.delete(name)
    await reflector.stop()
  }
  const added = [...served].filter(([name]) => !reflectors.has(name))
  for (const [name, resource] of added) {
    const reflector = createReflector({ client, resource, prune: metadataOnly, log })
    reflector.store.subscribe((change) => {
      if (change.type === 'deleted') removed(collector, nodeOf(resource, change.object))
      else seen(collector, nodeOf(resource, change.object))
    })
    reflectors.set(name, reflector as unknown as Reflector<never>)
    reflector.start()
  }
  for (const [name] of added) await reflectors.get(name)?.synced
}

function followed(resources: readonly Resource[]): Resource[] {
  return resources.filter(({ kind }) => kind !== IGNORED_KIND)
}

function nameOfResource(resource: Resource): string {
  return `${resource.plural}.${apiVersionOf(resource)}`
}

function seen(collector: Collector, node: Node): void {
  const { graph } = collector
  const formerOwners = graph.get(node.uid)?.owners ?? []
  graph.put(node)
  if (node.owners.length > 0 || node.isDeleting) collector.enqueue(node.uid)
  if (waitsForDependents(node)) for (const dependent of graph.dependentsOf(node.uid)) collector.enqueue(dependent.uid)
  // An object that no longer blocks its owner, or is no longer below it, may have been all that a deletion waited for.
  for (const owner of [...formerOwners, ...node.owners])
    if (graph.get(owner.uid)?.isDeleting === true) collector.enqueue(owner.uid)
}

function removed(collector: Collector, node: Node): void {
  const { graph } = collector
  graph.remove(node.uid)
  for (const dependent of graph.dependentsOf(node.uid)) collector.enqueue(dependent.uid)
  for (const owner of node.owners) if (graph.get(owner.uid)?.isDeleting === true) collector.enqueue(owner.uid)
}

async function collect(collector: Collector, uid: string): Promise<void> {
  const { graph } = collector
  const node = graph.get(uid)
  if (node === undefined) return
  const states = new Map<string, OwnerState>()
  if (!node.isDeleting) for (const owner of node.owners) states.set(owner.uid, await stateOf(collector, owner, node))
  const dependents = graph.dependentsOf(uid)
  await carryOut(collector, node, judge(node, { stateOf: (owner) => states.get(owner.uid) ?? 'solid', dependents }))
}

async function stateOf({ world, graph, gone }: Collector, owner: OwnerReference, node: Node): Promise<OwnerState> {
  const known = graph.get(owner.uid)
  if (known !== undefined) return waitsForDependents(known) ? 'waiting' : 'solid'
  if (gone.has(owner.uid)) return 'gone'
  const fetched = await fetchOwner(world.client, owner, node.namespace)
  if (fetched !== 'gone') return 'solid'
  if (gone.size >= MAX_REMEMBERED_GONE) gone.clear()
  gone.add(owner.uid)
  return 'gone'
}

async function carryOut(collector: Collector, node: Node, verdict: Verdict): Promise<void> {
  const { world, graph } = collector
  const { client } = world
  switch (verdict.kind) {
    case 'keep':
      return
    case 'disown':
      return patchNode(client, node, { ownerReferences: verdict.owners })
    case 'delete':
      return deleteNode(client, node, verdict.propagation)
    case 'removeFinalizer':
      return patchNode(client, node, {
        finalizers: node.finalizers.filter((finalizer) => finalizer !== verdict.finalizer),
      })
    case 'waitForDependents':
      for (const dependent of graph.dependentsOf(node.uid)) collector.enqueue(dependent.uid)
      return
    case 'releaseDependents':
      for (const dependent of graph.dependentsOf(node.uid)) {
        await patchNode(client, dependent, {
          ownerReferences: dependent.owners.filter((owner) => owner.uid !== node.uid),
        })
      }
      return
    default:
      verdict satisfies never
  }
}
