/**
 * A scheduler for one node: every pod that fits is bound to it, every other is told why not, and is looked at again when it changes.
 * It knows nodeSelector and scheduling gates; it does not count resources, as nothing enforces them for processes.
 */
import type { Client } from '../../operator/kube/client.ts'
import { isConflict, isNotFound } from '../../operator/kube/errors.ts'
import type { Log } from '../../operator/kube/log.ts'
import { createReflector } from '../../operator/kube/reflector.ts'
import { createEventRecorder } from './events.ts'
import type { Pod } from './objects.ts'
import { podLabel } from './objects.ts'
import { timestamp } from './pod/status.ts'
import { BINDINGS, PODS } from './resources.ts'

export interface SchedulerOptions {
  readonly client: Client
  readonly log: Log
  readonly nodeName: string
  readonly nodeLabels: Readonly<Record<string, string>>
}

const NAME = 'default-scheduler'
const RETRY_MS = 1000

export interface Unschedulable {
  readonly reason: 'Unschedulable' | 'SchedulingGated'
  readonly message: string
}

/** Why a pod cannot run on a node with these labels; undefined when it can. */
export function whyNot(pod: Pod, nodeLabels: Readonly<Record<string, string>>): Unschedulable | undefined {
  const gates = pod.spec.schedulingGates ?? []
  if (gates.length > 0) {
    return { reason: 'SchedulingGated', message: 'Scheduling is blocked due to non-empty scheduling gates' }
  }
  const wanted = Object.entries(pod.spec.nodeSelector ?? {})
  if (wanted.every(([key, value]) => nodeLabels[key] === value)) return undefined
  const message = `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.`
  return { reason: 'Unschedulable', message }
}

export function startScheduler({ client, log, nodeName, nodeLabels }: SchedulerOptions): { close(): Promise<void> } {
  const events = createEventRecorder({ client, log, component: NAME })
  const reflector = createReflector({ client, resource: PODS, fieldSelector: 'spec.nodeName=', log })
  const retries = new Set<NodeJS.Timeout>()
  const closing = new AbortController()
  const call = { signal: closing.signal }

  async function schedule(pod: Pod): Promise<void> {
    const { namespace, name } = pod.metadata
    const problem = whyNot(pod, nodeLabels)
    if (problem !== undefined) return refuse(pod, problem)
    const target = { apiVersion: 'v1', kind: 'Node', name: nodeName }
    await client.create(
      BINDINGS,
      { metadata: { namespace, name, uid: pod.metadata.uid }, target },
      { subresource: 'binding', ...call },
    )
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`
    events.record(pod, { type: 'Normal', reason: 'Scheduled', message })
  }

  async function refuse(pod: Pod, { reason, message }: Unschedulable): Promise<void> {
    const shown = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
    if (shown?.status === 'False' && shown.reason === reason && shown.message === message) return
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason,
      message,
      lastTransitionTime: timestamp(Date.now()),
    }
    const { namespace, name } = pod.metadata
    const body = { status: { conditions: [condition] } }
    await client.patchStatus(PODS, { namespace, name }, { type: 'strategic', body }, call)
    if (reason === 'Unschedulable') events.record(pod, { type: 'Warning', reason: 'FailedScheduling', message })
  }

  function consider(pod: Pod): void {
    const isOurs = (pod.spec.schedulerName ?? NAME) === NAME
    if (!isOurs || closing.signal.aborted || pod.metadata.deletionTimestamp !== undefined) return
    schedule(pod).catch((error: Error) => {
      if (closing.signal.aborted) return
      if (!isNotFound(error) && !isConflict(error))
        log.warn({ pod: podLabel(pod), reason: error.message }, 'a pod could not be scheduled; trying again')
      const timer = setTimeout(() => {
        retries.delete(timer)
        const now = reflector.store.get(pod.metadata)
        if (now !== undefined) consider(now)
      }, RETRY_MS)
      retries.add(timer)
    })
  }

  reflector.store.subscribe((change) => {
    if (change.type !== 'deleted') consider(change.object)
  })
  reflector.start()
  return {
    async close() {
      closing.abort()
      for (const timer of retries) clearTimeout(timer)
      await reflector.stop()
      await events.close()
    },
  }
}
