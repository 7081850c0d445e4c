import type { Probe } from '../objects.ts'
import type { ActionResult } from './actions.ts'

/** Results in a row that say the same. */
export interface Streak {
  readonly ok: boolean
  readonly length: number
}

/** Counts one more result, and says whether it settles the question: `true` good, `false` bad, undefined not yet. */
export function count(
  streak: Streak | undefined,
  ok: boolean,
  probe: Probe,
): { readonly streak: Streak; readonly verdict: boolean | undefined } {
  const length = streak?.ok === ok ? streak.length + 1 : 1
  const threshold = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
  return { streak: { ok, length }, verdict: length >= threshold ? ok : undefined }
}

export interface ProberOptions {
  readonly probe: Probe
  readonly attempt: (timeoutMs: number) => Promise<ActionResult>
  /** A question is settled; called after every result that confirms it, too. */
  readonly onVerdict: (ok: boolean, message: string) => void
  readonly onFailure: (message: string) => void
}

/** Probes once after the initial delay, and then in every period, until it is stopped. */
export function startProber({ probe, attempt, onVerdict, onFailure }: ProberOptions): { stop(): void } {
  const periodMs = (probe.periodSeconds ?? 10) * 1000
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000
  let streak: Streak | undefined
  let isStopped = false
  let timer = setTimeout(() => void once(), (probe.initialDelaySeconds ?? 0) * 1000)

  async function once(): Promise<void> {
    const startedMs = performance.now()
    const result = await attempt(timeoutMs)
    if (isStopped) return
    if (!result.ok) onFailure(result.message)
    const counted = count(streak, result.ok, probe)
    streak = counted.streak
    if (counted.verdict !== undefined) onVerdict(counted.verdict, result.message)
    const spentMs = performance.now() - startedMs
    if (!isStopped) timer = setTimeout(() => void once(), Math.max(0, periodMs - spentMs))
  }

  return {
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
