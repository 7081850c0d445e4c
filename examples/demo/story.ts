import { setTimeout as delay } from 'node:timers/promises'
import type { ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { parseDurationMs } from '../../operator/core/instant.ts'
import { heading, note, printTable, type Claims } from './claims.ts'
import { printStatus } from './ending.ts'
import { POLICY, digestOf, type Policy, type Version } from './model-deployment.ts'
import type { PodLog } from './pods.ts'
import type { Tally, Traffic } from './traffic.ts'
import { conditionOf, type Watcher } from './watcher.ts'

/** What the chapters of the demo work with. */
export interface Stage {
  readonly claims: Claims
  readonly watcher: Watcher
  readonly pods: PodLog
  /** @returns the generation that the API server gave to what was applied. */
  readonly apply: (version: Version, policy?: Policy) => Promise<number>
}

/** A step's share may be off by this much in the demo's few thousand requests; `npm run bench` measures it over 10,000. */
const SPLIT_TOLERANCE = 0.03
/** The share is measured over this part of a hold, so that neither end of it is smeared. */
const MEASURED_PART_OF_HOLD = 0.85
/** A revision that was to be tried again would begin at the operator's next look, which is at once; this is many looks. */
const UNTRIED_FOR_MS = 3000

export async function firstVersion({ claims, watcher, pods, apply }: Stage): Promise<void> {
  heading('v1  a first version goes straight to stable once every pod is healthy')
  await apply('v1')
  const status = await watcher.until('v1 to serve', (seen) => seen.stable?.version === 'v1' && isReady(seen))
  const { revision = '', sha256 = '', readyReplicas = 0 } = status.stable ?? {}
  claims.check(readyReplicas === 2 && pods.everMade(revision) === 2, `v1 serves from ${readyReplicas} pods`)
  const pinned = pods.pinnedDigests(revision)
  claims.check(
    sha256 === digestOf('v1') && pinned.length === 1 && pinned[0] === sha256,
    `its digest ${sha256.slice(0, 12)} is the file's, and each pod accepts no other`,
  )
}

export async function goodVersion({ claims, watcher, apply }: Stage, traffic: Traffic): Promise<void> {
  heading('v2  a better version is canaried 10 -> 50 -> 100 % and promoted')
  await apply('v2')
  for (const [index, step] of POLICY.steps.entries()) {
    const started = await watcher.until(
      `step ${index + 1} to be taken up by stable`,
      (seen) => hasReached(seen, index),
      60,
    )
    if (ended(started)) break
    traffic.window()
    await delay(parseDurationMs(step.hold) * MEASURED_PART_OF_HOLD)
    const share = shareOf(traffic.window(), (await watcher.status()).candidate?.revision)
    const right = Math.abs(share.share - step.weight / 100) <= SPLIT_TOLERANCE
    claims.check(
      right,
      `wanted ${step.weight} %: v2 answered ${share.answered} of ${share.sent} requests, ${(share.share * 100).toFixed(1)} %`,
    )
  }
  const status = await watcher.until('v2 to be promoted', (seen) => seen.stable?.version === 'v2' && isReady(seen))
  claims.check(status.history?.[0]?.outcome === 'Promoted', `promoted: ${status.history?.[0]?.reason ?? '?'}`)
  for (const gate of status.history?.[0]?.evidence ?? []) note(`${gate.name}: ${gate.verdict}, ${gate.message ?? ''}`)
}

export async function brokenFile({ claims, watcher, pods, apply }: Stage): Promise<void> {
  heading('v3  a file that is no valid model never gets a pod')
  await apply('v3')
  const status = await watcher.until('v3 to be refused', (seen) => conditionOf(seen, 'Stalled')?.status === 'True')
  const [rejection] = status.rejected ?? []
  claims.check(rejection?.gate === 'Resolve', `refused: ${rejection?.message ?? '?'}`)
  claims.check(
    rejection?.version === 'v3' && pods.everMade(rejection.revision) === 0,
    `${pods.everMade(rejection?.revision ?? '')} pods were made for it`,
  )
  claims.check(
    status.stable?.version === 'v2' && conditionOf(status, 'Available')?.status === 'True',
    'v2 goes on serving, untouched',
  )
}

export async function failingVersion(stage: Stage, traffic: Traffic): Promise<void> {
  heading('v4  a model that fails at run time on some of the rows is rolled back by the error gate')
  const { claims, watcher, apply } = stage
  await apply('v4')
  await watcher.until('v4 to get its share', (seen) => hasReached(seen, 0) || ended(seen))
  const before = traffic.total()
  const status = await watcher.until('v4 to be rolled back', (seen) => seen.history?.[0]?.version === 'v4')
  const after = traffic.total()
  const [entry] = status.history ?? []
  claims.check(entry?.outcome === 'RolledBack', `rolled back: ${entry?.reason ?? '?'}`)
  claims.check(
    after.failed === before.failed,
    `users saw ${after.failed - before.failed} failures meanwhile: stable answered what v4 could not`,
  )
  claims.check(conditionOf(status, 'Stalled')?.reason === 'RevisionRejected', 'the revision is remembered as rejected')
  await appliedAgain(stage, entry?.revision ?? '')
}

/** The same model under a policy that differs, so that the operator has something new to see, and says in status that it saw it. */
async function appliedAgain({ claims, watcher, pods, apply }: Stage, revision: string): Promise<void> {
  const podsBefore = pods.everMade(revision)
  const generation = await apply('v4', { ...POLICY, historyLimit: 10 })
  await watcher.until('the operator to see it', (seen) => (seen.observedGeneration ?? 0) >= generation)
  await delay(UNTRIED_FOR_MS)
  const { rollout, candidate, history = [] } = await watcher.status()
  const attempts = history.filter((each) => each.revision === revision).length
  const isUntried = rollout?.phase === 'Idle' && candidate === undefined && attempts === 1
  claims.check(
    isUntried && podsBefore > 0 && pods.everMade(revision) === podsBefore,
    'applying it again, with a longer history, does not try it again: no rollout began and no pod was made',
  )
}

/** The end: the status, and what became of every request. */
export function finish({ claims, pods }: Stage, status: ModelDeploymentStatus, total: Tally): void {
  printStatus(status)
  heading('What became of each request')
  const names = new Map((status.history ?? []).map((entry) => [entry.revision, entry.version ?? '']))
  printTable(
    ['answered by', 'requests', 'right'],
    [...total.byRevision].map(([revision, { answered, correct }]) => [
      `${names.get(revision) ?? '?'} (${revision})`,
      answered,
      `${((100 * correct) / answered).toFixed(1)} %`,
    ]),
  )
  note(`sent ${total.sent}, failed ${total.failed}`)
  for (const failure of total.failures) note(`failure: ${failure}`)
  claims.check(total.failed === 0, `${total.failed} of ${total.sent} requests of users failed`)
  const v3 = (status.history ?? []).find((entry) => entry.version === 'v3')
  claims.check(
    v3 !== undefined && !total.byRevision.has(v3.revision) && pods.everMade(v3.revision) === 0,
    'v3 never got a pod and answered no request at all',
  )
}

function isReady(status: ModelDeploymentStatus): boolean {
  return conditionOf(status, 'Ready')?.status === 'True'
}

function hasReached(status: ModelDeploymentStatus, step: number): boolean {
  const { rollout } = status
  return (
    ended(status) || (rollout?.phase === 'Shifting' && rollout.step === step && rollout.acknowledgedAt !== undefined)
  )
}

function ended({ rollout }: ModelDeploymentStatus): boolean {
  return rollout?.phase === 'RollingBack' || rollout?.phase === 'Promoting'
}

function shareOf(tally: Tally, revision: string | undefined): { answered: number; sent: number; share: number } {
  const answered = tally.byRevision.get(revision ?? '')?.answered ?? 0
  return { answered, sent: tally.sent, share: tally.sent === 0 ? 0 : answered / tally.sent }
}
