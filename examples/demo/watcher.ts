import { setTimeout as delay } from 'node:timers/promises'
import type { ModelDeployment, ModelDeploymentStatus } from '../../operator/api/resource.ts'

/** Follows one ModelDeployment and tells what becomes of it. */
export interface Watcher {
  /** The newest status. */
  status(): Promise<ModelDeploymentStatus>
  /** Waits until the status is as wanted; fails with what is wrong when it takes too long. */
  until(
    what: string,
    wanted: (status: ModelDeploymentStatus) => boolean,
    seconds?: number,
  ): Promise<ModelDeploymentStatus>
}

const LOOK_EVERY_MS = 100

export function createWatcher(read: () => Promise<ModelDeployment>): Watcher {
  const status = async () => (await read()).status ?? {}
  return {
    status,
    async until(what, wanted, seconds = 60) {
      const deadline = performance.now() + seconds * 1000
      for (;;) {
        const seen = await status()
        if (wanted(seen)) return seen
        if (performance.now() > deadline)
          throw new Error(`waited ${seconds} s for ${what}; instead: ${messageOf(seen)}`)
        await delay(LOOK_EVERY_MS)
      }
    },
  }
}

export function conditionOf(status: ModelDeploymentStatus, type: string) {
  return status.conditions?.find((condition) => condition.type === type)
}

export function messageOf(status: ModelDeploymentStatus): string {
  const ready = conditionOf(status, 'Ready')
  return ready === undefined ? 'there is no status' : `${ready.reason}: ${ready.message}`
}
