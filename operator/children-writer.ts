import type { ModelDeployment } from './api/resource.ts'
import { KIND } from './api/resource.ts'
import type { Child, Nudge } from './core/children/children.ts'
import { MANAGED_BY, NUDGE_ANNOTATION, type KubeObject } from './core/children/object.ts'
import type { ApplyBackoff } from './apply-backoff.ts'
import type { ApplyProblem } from './core/observation.ts'
import { OWNED_KINDS, OWNED_RESOURCES, type Caches, type OwnedKind, type OwnedObject } from './caches.ts'
import type { Applier } from './kube/apply.ts'
import type { Client } from './kube/client.ts'
import { ApiError, isAlreadyExists, isNotFound, isUnacceptable, unlessNotFound } from './kube/errors.ts'
import { controllerOf, ownershipConflict, type OwnershipConflict } from './kube/ownership.ts'
import type { KubeObject as LiveObject, Resource } from './kube/resource.ts'
import { DEPLOYMENT, POD } from './kube/resources.ts'
import type { Key } from './reconcile.ts'

export interface ChildrenWriterOptions {
  readonly client: Client
  readonly applier: Applier
  readonly caches: Caches
  readonly backoff: ApplyBackoff
  /** Asked before every write: a replica that lost the lease writes nothing more. */
  readonly mayWrite: () => boolean
}

export interface ChildrenWriter {
  /** Makes the children so, in their order, and deletes the others. What fails is told and does not stop the rest. */
  make(owner: ModelDeployment, children: readonly Child[]): Promise<readonly ApplyProblem[]>
  nudge(owner: ModelDeployment, nudges: readonly Nudge[]): Promise<readonly ApplyProblem[]>
}

/** The kinds of resources differ only in their type here, and every object is checked against its own by the API server. */
type AnyResource = Resource<LiveObject>

/**
 * Carries out the children of a plan. It promises not to touch what another owner controls, and not to write what is so already;
 * what ought to be is left to the core.
 */
export function createChildrenWriter(options: ChildrenWriterOptions): ChildrenWriter {
  return {
    async make(owner, children) {
      const problems: ApplyProblem[] = []
      const attempt = async (write: Write) => {
        if (!options.mayWrite()) return
        const problem = await attempted(write, owner, options)
        if (problem !== undefined) problems.push(problem)
      }
      const writes = [
        ...children.flatMap((child) => writeOf(owner, child, options)),
        ...removals(owner, children, options),
      ]
      options.backoff.keepOnly(owner.metadata.uid, new Set(writes.map(({ object }) => object)))
      for (const write of writes) await attempt(write)
      return problems
    },
    async nudge(owner, nudges) {
      if (!options.mayWrite()) return []
      const { namespace } = owner.metadata
      const problems = await Promise.all(
        nudges.map(({ pod, value }) =>
          nudgePod(options.client, { namespace, name: pod }, value).catch((error: unknown) =>
            problemOf(`Pod ${pod}`, error),
          ),
        ),
      )
      return problems.filter((problem) => problem !== undefined)
    },
  }
}

/** One write that may be needed. */
interface Write {
  /** `Deployment fraud-1a2b3c4d5e`. */
  readonly object: string
  /** Everything that decides what is sent. */
  readonly content: unknown
  readonly carryOut: () => Promise<ApplyProblem | undefined>
}

function writeOf(owner: ModelDeployment, child: Child, options: ChildrenWriterOptions): Write[] {
  const object = titleOfChild(child)
  if (child.want !== 'keep') return [{ object, content: child, carryOut: () => makeChild(owner, child, options) }]
  if (child.replicas === undefined) return []
  return [{ object, content: child, carryOut: () => resize(owner, child, options) }]
}

/** What has just failed is not tried again, but goes on being a problem. */
async function attempted(
  { carryOut, ...wanted }: Write,
  { metadata }: ModelDeployment,
  { backoff }: ChildrenWriterOptions,
): Promise<ApplyProblem | undefined> {
  const wish = { ownerUid: metadata.uid, ...wanted }
  const known = backoff.problemOf(wish)
  if (known !== undefined) return known
  try {
    const refusal = await carryOut()
    backoff.succeeded(wish)
    return refusal
  } catch (error) {
    const problem = problemOf(wanted.object, error)
    backoff.failed(wish, problem)
    return problem
  }
}

async function makeChild(
  owner: ModelDeployment,
  child: Exclude<Child, { want: 'keep' }>,
  options: ChildrenWriterOptions,
): Promise<ApplyProblem | undefined> {
  const { object } = child
  const resource = resourceOf(object.kind)
  const live = await liveObject(object, resource, options)
  if (child.want === 'create')
    return live === undefined ? create(object, resource, options.client) : foreign(object, live, owner)
  const applied = await options.applier.apply({
    resource,
    desired: object,
    live,
    owner: ownerOf(owner),
    ...(child.want === 'scale' && { initially: { spec: { replicas: child.initialReplicas } } }),
  })
  if (applied.outcome === 'refused') return refused(object, applied.conflict)
  if (child.want === 'scale' && child.replicas !== undefined)
    await scale(
      { namespace: object.metadata.namespace, name: object.metadata.name },
      child.replicas,
      applied.outcome === 'created' || applied.outcome === 'applied' ? applied.object : live,
      options.client,
    )
  return undefined
}

/** From the cache; an object that is not there may still exist without our labels, and then it is somebody else's. */
async function liveObject(
  object: KubeObject,
  resource: AnyResource,
  { caches, client }: ChildrenWriterOptions,
): Promise<LiveObject | undefined> {
  const { namespace, name, labels } = object.metadata
  const key: Key = { namespace, name: labels?.['penstock.dev/modeldeployment'] ?? '' }
  const cached = (caches.owned(object.kind as OwnedKind, key) as readonly LiveObject[]).find(
    (each) => each.metadata?.name === name,
  )
  if (cached !== undefined) return cached
  return unlessNotFound(client.get(resource, { namespace, name }))
}

async function create(object: KubeObject, resource: AnyResource, client: Client): Promise<undefined> {
  try {
    await client.create(resource, object, { fieldManager: MANAGED_BY })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error // The cache was behind; the next look sees it, and whose it is.
  }
}

function foreign(object: KubeObject, live: LiveObject, owner: ModelDeployment): ApplyProblem | undefined {
  const conflict = ownershipConflict(live, ownerOf(owner))
  return conflict && refused(object, conflict)
}

/** A Deployment that is left as it is, but for its size. */
async function resize(
  { metadata }: ModelDeployment,
  { name, replicas = 0 }: Extract<Child, { want: 'keep' }>,
  { caches, client }: ChildrenWriterOptions,
): Promise<undefined> {
  const live = caches.owned('Deployment', metadata).find((each) => each.metadata?.name === name)
  const isOurs = live !== undefined && controllerOf(live)?.uid === metadata.uid
  if (isOurs) await scale({ namespace: metadata.namespace, name }, replicas, live, client)
}

async function scale(name: Key, replicas: number, live: LiveObject | undefined, client: Client): Promise<undefined> {
  const now = (live as OwnedObject<'Deployment'> | undefined)?.spec?.replicas
  if (now === undefined || now === replicas) return
  await client.patchScale(DEPLOYMENT, name, replicas, { fieldManager: MANAGED_BY })
}

/** What this owner controls and the plan does not ask for, in the order in which it is to go. */
function removals(owner: ModelDeployment, children: readonly Child[], options: ChildrenWriterOptions): Write[] {
  const { namespace } = owner.metadata
  const wanted = new Set(children.map(titleOfChild))
  return OWNED_KINDS.flatMap((kind) => {
    const objects = options.caches.owned(kind, owner.metadata) as readonly LiveObject[]
    return objects.flatMap((live) => {
      const { name = '', uid = '', deletionTimestamp } = live.metadata ?? {}
      const object = `${kind} ${name}`
      const ours = controllerOf(live)?.uid === owner.metadata.uid
      if (!ours || deletionTimestamp !== undefined || wanted.has(object)) return []
      return [{ object, content: uid, carryOut: () => remove(kind, { namespace, name }, uid, options) }]
    })
  })
}

async function remove(
  kind: OwnedKind,
  name: Key,
  uid: string,
  { client, applier }: ChildrenWriterOptions,
): Promise<undefined> {
  try {
    await client.delete(resourceOf(kind), name, { propagation: 'Background', preconditions: { uid } })
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  applier.forget(resourceOf(kind), name)
}

/** A pod that is gone needs no nudge. */
async function nudgePod(client: Client, name: Key, value: string): Promise<undefined> {
  try {
    await client.patch(
      POD,
      name,
      { type: 'merge', body: { metadata: { annotations: { [NUDGE_ANNOTATION]: value } } } },
      { fieldManager: MANAGED_BY },
    )
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

function ownerOf({ metadata }: ModelDeployment) {
  return { kind: KIND, name: metadata.name, uid: metadata.uid }
}

function titleOfChild(child: Child): string {
  return child.want === 'keep' ? `${child.kind} ${child.name}` : titleOf(child.object)
}

function titleOf(object: KubeObject): string {
  return `${object.kind} ${object.metadata.name}`
}

function refused(object: KubeObject, conflict: OwnershipConflict): ApplyProblem {
  return {
    object: titleOf(object),
    message: conflict.message,
    kind: conflict.reason === 'FormerOwner' ? 'Passing' : 'Refused',
  }
}

const MAX_MESSAGE_LENGTH = 500

function problemOf(object: string, error: unknown): ApplyProblem {
  if (error instanceof ApiError)
    return { object, message: wordsOf(error).slice(0, MAX_MESSAGE_LENGTH), kind: kindOf(error) }
  const message = error instanceof Error ? error.message : String(error)
  return { object, message: message.slice(0, MAX_MESSAGE_LENGTH), kind: 'Passing' }
}

function kindOf(error: ApiError): ApplyProblem['kind'] {
  if (isUnacceptable(error)) return 'Invalid'
  const isDoomedAnyway = error.causes.some((cause) => cause.reason === 'NamespaceTerminating')
  return error.code === 403 && !isDoomedAnyway ? 'Refused' : 'Passing'
}

/** The server's sentence; which object it is about is said already. */
function wordsOf(error: ApiError): string {
  if (error.said === '') return `the API server answered ${error.code} ${error.reason}`
  return error.said.replace(/^failed to create typed patch object \([^)]*\): /, '')
}

function resourceOf(kind: string): AnyResource {
  return OWNED_RESOURCES[kind as OwnedKind]
}
