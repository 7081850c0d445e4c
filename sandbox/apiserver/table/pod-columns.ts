import { numberAt, objectAt, objectsAt, stringAt, textOf, type JsonObject, type KubeObject } from '../json.ts'
import { ageColumn, ageOf, column, nameColumn, orNone } from './cells.ts'
import type { TableColumn } from './column.ts'

interface PodSummary {
  readonly ready: number
  readonly total: number
  readonly restarts: number
  readonly lastRestart: string | undefined
  readonly reason: string
}

/** The STATUS that `kubectl get pods` shows: the most telling reason of the pod and its containers. */
function summarize(pod: KubeObject): PodSummary {
  const sidecars = new Set(
    objectsAt(pod, 'spec', 'initContainers')
      .filter((each) => each['restartPolicy'] === 'Always')
      .map((each) => each['name']),
  )
  const inits = objectsAt(pod, 'status', 'initContainerStatuses')
  const statuses = objectsAt(pod, 'status', 'containerStatuses')
  const total = objectsAt(pod, 'spec', 'containers').length + sidecars.size
  const initializing = initReason(pod, inits, sidecars)
  const counted =
    initializing === undefined ? [...statuses, ...inits.filter((each) => sidecars.has(each['name'] ?? ''))] : inits
  const ready = [...statuses, ...inits.filter((each) => sidecars.has(each['name'] ?? ''))].filter(
    (each) => each['ready'] === true && objectAt(each, 'state', 'running'),
  ).length
  const restarts = counted.reduce((sum, each) => sum + (numberAt(each, 'restartCount') ?? 0), 0)
  const finished = counted
    .map((each) => stringAt(each, 'lastState', 'terminated', 'finishedAt'))
    .filter((each) => each !== undefined)
  const phase = stringAt(pod, 'status', 'reason') ?? stringAt(pod, 'status', 'phase') ?? ''
  const reason = initializing ?? containerReason(pod, statuses, phase)
  return { ready, total, restarts, lastRestart: finished.sort().at(-1), reason: withDeletion(pod, reason) }
}

function initReason(pod: KubeObject, inits: readonly JsonObject[], sidecars: ReadonlySet<unknown>): string | undefined {
  const total = objectsAt(pod, 'spec', 'initContainers').length
  for (const [index, status] of inits.entries()) {
    const terminated = objectAt(status, 'state', 'terminated')
    if (terminated?.['exitCode'] === 0) continue
    if (sidecars.has(status['name']) && status['started'] === true) continue
    if (terminated) return `Init:${terminatedReason(terminated)}`
    const waiting = stringAt(status, 'state', 'waiting', 'reason')
    if (waiting && waiting !== 'PodInitializing') return `Init:${waiting}`
    return `Init:${index}/${total}`
  }
  return undefined
}

function containerReason(pod: KubeObject, statuses: readonly JsonObject[], phase: string): string {
  let reason = phase
  let running = false
  for (const status of [...statuses].reverse()) {
    const waiting = stringAt(status, 'state', 'waiting', 'reason')
    const terminated = objectAt(status, 'state', 'terminated')
    if (waiting) reason = waiting
    else if (terminated) reason = terminatedReason(terminated)
    else if (status['ready'] === true && objectAt(status, 'state', 'running')) running = true
  }
  if (reason !== 'Completed' || !running) return reason
  const ready = objectsAt(pod, 'status', 'conditions').some(
    (each) => each['type'] === 'Ready' && each['status'] === 'True',
  )
  return ready ? 'Running' : 'NotReady'
}

function terminatedReason(terminated: JsonObject): string {
  const reason = stringAt(terminated, 'reason')
  if (reason) return reason
  const signal = numberAt(terminated, 'signal')
  return signal ? `Signal:${signal}` : `ExitCode:${textOf(terminated['exitCode'])}`
}

function withDeletion(pod: KubeObject, reason: string): string {
  if (pod.metadata['deletionTimestamp'] === undefined) return reason
  if (stringAt(pod, 'status', 'reason') === 'NodeLost') return 'Unknown'
  const phase = stringAt(pod, 'status', 'phase')
  return phase === 'Succeeded' || phase === 'Failed' ? reason : 'Terminating'
}

function restartsText(pod: KubeObject, now: number): string {
  const { restarts, lastRestart } = summarize(pod)
  return restarts > 0 && lastRestart ? `${restarts} (${ageOf(lastRestart, now)} ago)` : String(restarts)
}

function readinessGates(pod: KubeObject): string {
  const gates = objectsAt(pod, 'spec', 'readinessGates')
  if (gates.length === 0) return '<none>'
  const conditions = objectsAt(pod, 'status', 'conditions')
  const open = gates.filter((gate) =>
    conditions.some((each) => each['type'] === gate['conditionType'] && each['status'] === 'True'),
  )
  return `${open.length}/${gates.length}`
}

export const podColumns: TableColumn[] = [
  nameColumn,
  column('Ready', (pod) => {
    const { ready, total } = summarize(pod)
    return `${ready}/${total}`
  }),
  column('Status', (pod) => summarize(pod).reason),
  column('Restarts', restartsText),
  ageColumn,
  column('IP', (pod) => orNone(stringAt(pod, 'status', 'podIP')), { wide: true }),
  column('Node', (pod) => orNone(stringAt(pod, 'spec', 'nodeName')), { wide: true }),
  column('Nominated Node', (pod) => orNone(stringAt(pod, 'status', 'nominatedNodeName')), { wide: true }),
  column('Readiness Gates', readinessGates, { wide: true }),
]
