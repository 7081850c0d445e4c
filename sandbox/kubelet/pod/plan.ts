import type { Container, Pod } from '../objects.ts'
import { retryAt } from './back-off.ts'
import type { BackOffPolicy } from './back-off.ts'
import { isRunning, isSidecar, recordOf, sidecarsOf } from './record.ts'
import type { ContainerRecord, Exit, Records } from './record.ts'

/** Why a pod must end before its containers do by themselves. */
export type Ending = 'Deleted' | 'DeadlineExceeded'

export interface PodSeen {
  readonly pod: Pod
  readonly records: Records
  /** All init containers have done their part once; they are not asked again while the pod lives. */
  readonly initialized: boolean
  readonly ending?: Ending | undefined
  readonly nowMs: number
  readonly backOff: BackOffPolicy
}

export interface PodPlan {
  readonly start: readonly string[]
  readonly stop: readonly string[]
  readonly initialized: boolean
  /** Nothing runs, and nothing will run again. */
  readonly outcome?: 'Succeeded' | 'Failed'
  /** When to ask again even if nothing happens. */
  readonly wakeAtMs?: number
}

type Step =
  | { readonly kind: 'start' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'runs' }
  | { readonly kind: 'done'; readonly ok: boolean }

/**
 * What to do with a pod's containers now. Init containers run one after the other, each to success; a sidecar holds the next one
 * up only until it has started; the others start together after that; a pod whose containers are all done stops its sidecars.
 */
export function planPod(seen: PodSeen): PodPlan {
  if (seen.ending !== undefined) return planEnd(seen, seen.ending === 'Deleted' && allSucceeded(seen))
  const init = planInit(seen)
  if (init.kind === 'failed') return planEnd(seen, false)
  if (init.kind === 'busy') return { ...movesOf(init.steps), initialized: false }
  const sidecars = sidecarsOf(seen.pod).map((each) => [each.name, stepOf(each, seen, 'Always')] as const)
  const mains = seen.pod.spec.containers.map((each) => [each.name, stepOf(each, seen, podPolicy(seen.pod))] as const)
  if (mains.every(([, step]) => step.kind === 'done'))
    return planEnd({ ...seen, initialized: true }, allSucceeded(seen))
  return { ...movesOf([...sidecars, ...mains]), initialized: true }
}

type NamedStep = readonly [name: string, step: Step]

type InitPlan =
  | { readonly kind: 'busy'; readonly steps: readonly NamedStep[] }
  | { readonly kind: 'failed' }
  | { readonly kind: 'complete' }

function planInit(seen: PodSeen): InitPlan {
  if (seen.initialized) return { kind: 'complete' }
  const steps: NamedStep[] = []
  for (const container of seen.pod.spec.initContainers ?? []) {
    const step = stepOf(container, seen, isSidecar(container) ? 'Always' : initPolicy(seen.pod))
    if (step.kind === 'done' && !step.ok) return { kind: 'failed' }
    if (step.kind === 'done') continue
    steps.push([container.name, step])
    const passed = isSidecar(container) && step.kind === 'runs' && recordOf(seen.records, container.name).started
    if (!passed) return { kind: 'busy', steps }
  }
  return { kind: 'complete' }
}

function stepOf(container: Container, seen: PodSeen, policy: string): Step {
  const record = recordOf(seen.records, container.name)
  switch (record.state.kind) {
    case 'none':
      return { kind: 'start' }
    case 'running':
      return { kind: 'runs' }
    case 'refused':
      return startAt(record.state.retryAtMs, seen.nowMs)
    case 'exited': {
      const { exit } = record.state
      if (!restarts(policy, exit)) return { kind: 'done', ok: exit.exitCode === 0 }
      return startAt(retryAt(record.backOff, exit.finishedAtMs, seen.backOff), seen.nowMs)
    }
    default:
      return record.state satisfies never
  }
}

function startAt(atMs: number, nowMs: number): Step {
  return atMs <= nowMs ? { kind: 'start' } : { kind: 'wait', untilMs: atMs }
}

function movesOf(steps: readonly NamedStep[]): Omit<PodPlan, 'initialized'> {
  const start = steps.filter(([, step]) => step.kind === 'start').map(([name]) => name)
  const waits = steps.flatMap(([, step]) => (step.kind === 'wait' ? [step.untilMs] : []))
  return { start, stop: [], ...(waits.length > 0 && { wakeAtMs: Math.min(...waits) }) }
}

/** Sidecars outlive the containers that may need them, and end in reverse order of their start. */
function planEnd(seen: PodSeen, succeeded: boolean): PodPlan {
  const { pod, records, initialized } = seen
  const running = ({ name }: Container): boolean => isRunning(recordOf(records, name))
  const plain = [...(pod.spec.initContainers ?? []).filter((each) => !isSidecar(each)), ...pod.spec.containers]
  const first = plain.filter(running)
  const next = first.length > 0 ? first : sidecarsOf(pod).filter(running).slice(-1)
  if (next.length > 0) return { start: [], stop: next.map(({ name }) => name), initialized }
  return { start: [], stop: [], initialized, outcome: succeeded ? 'Succeeded' : 'Failed' }
}

function allSucceeded({ pod, records }: PodSeen): boolean {
  return pod.spec.containers.every(({ name }) => {
    const { state } = recordOf(records, name)
    return state.kind === 'exited' && state.exit.exitCode === 0
  })
}

export function restarts(policy: string, exit: Exit): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exit.exitCode !== 0)
}

export function podPolicy(pod: Pod): string {
  return pod.spec.restartPolicy ?? 'Always'
}

/** An init container that succeeded is done, whatever the pod's policy. */
export function initPolicy(pod: Pod): string {
  return podPolicy(pod) === 'Never' ? 'Never' : 'OnFailure'
}

/** The policy that decides over this container's restart. */
export function policyOf(pod: Pod, container: Container): string {
  if (isSidecar(container)) return 'Always'
  return pod.spec.initContainers?.includes(container) === true ? initPolicy(pod) : podPolicy(pod)
}

/** The wait that a crashed container has to sit out, if it is in one now. */
export function crashLoop(
  record: ContainerRecord,
  nowMs: number,
  policy: BackOffPolicy,
): { delayMs: number } | undefined {
  if (record.state.kind !== 'exited') return undefined
  const finishedAtMs = record.state.exit.finishedAtMs
  const until = retryAt(record.backOff, finishedAtMs, policy)
  return until > nowMs ? { delayMs: until - finishedAtMs } : undefined
}
