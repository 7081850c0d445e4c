/** How a container's record changes with what happens to it. Pure. */
import { afterRetry } from './back-off.ts'
import type { BackOffPolicy } from './back-off.ts'
import type { ContainerRecord, Exit } from './record.ts'
import { latestExit } from './record.ts'

export interface Refusal {
  readonly reason: string
  readonly message: string
}

/** It could not be created. Pulls back off; anything else is tried again after `retryMs`. */
export function refused(
  record: ContainerRecord,
  refusal: Refusal,
  nowMs: number,
  policy: BackOffPolicy & { readonly retryMs: number },
): ContainerRecord {
  const { state } = record
  const before = state.kind === 'refused' && state.reason === refusal.reason ? state.retryAtMs - state.atMs : 0
  const pullMs = before === 0 ? policy.baseMs : Math.min(2 * before, policy.maxMs)
  const waitMs = refusal.reason === 'ErrImagePull' ? pullMs : policy.retryMs
  return { ...unstarted(record), state: { kind: 'refused', ...refusal, atMs: nowMs, retryAtMs: nowMs + waitMs } }
}

/** A run began. */
export function began(
  record: ContainerRecord,
  run: { readonly startedAtMs: number; readonly containerID: string; readonly probedReady: boolean },
  policy: BackOffPolicy,
): ContainerRecord {
  const { startedAtMs, containerID, probedReady } = run
  return {
    ...retried(record, startedAtMs, policy),
    state: { kind: 'running', startedAtMs, containerID },
    probedReady,
  }
}

/** The program of a new run could not be started; that is an end, too. */
export function failedToBegin(record: ContainerRecord, exit: Exit, policy: BackOffPolicy): ContainerRecord {
  return { ...retried(record, exit.finishedAtMs, policy), state: { kind: 'exited', exit } }
}

/** The run that goes on found out more about itself. */
export function progressed(
  record: ContainerRecord,
  run: { readonly started: boolean; readonly probedReady: boolean },
): ContainerRecord {
  return { ...record, started: run.started, probedReady: run.probedReady }
}

export function ended(record: ContainerRecord, exit: Exit): ContainerRecord {
  return { ...record, state: { kind: 'exited', exit }, started: false, probedReady: false }
}

/** The restart count that a run which begins now has. */
export function nextRestartCount(record: ContainerRecord): number {
  return latestExit(record) === undefined ? record.restartCount : record.restartCount + 1
}

function retried(record: ContainerRecord, nowMs: number, policy: BackOffPolicy): ContainerRecord {
  const last = latestExit(record)
  const next = { ...unstarted(record), restartCount: nextRestartCount(record) }
  return last === undefined ? next : { ...next, backOff: afterRetry(record.backOff, last.finishedAtMs, nowMs, policy) }
}

function unstarted(record: ContainerRecord): ContainerRecord {
  const last = latestExit(record)
  return { ...record, ...(last !== undefined && { last }), started: false, probedReady: false }
}
