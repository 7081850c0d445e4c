/**
 * What a plan's requests came to, summed over every pod process that ever answered under it.
 *
 * Law: no count is lost that was ever read, and none is counted twice. A process is known by its random `instance`; its counters
 * only grow, so its latest reading replaces the one before; when the process is gone, its last reading moves once into the departed
 * totals. Fetching readings, and keeping them from one look to the next, is left to the caller.
 */
import type { Answers, Evidence } from '../../../protocol/evidence.ts'
import type { Baseline } from './verdict.ts'

/** The sums that gates judge, all of one plan. */
export interface Samples {
  readonly stable: Answers
  readonly candidate: Answers
  /**
   * Stable's answers under earlier plans of this rollout: they continue stable's evidence where this plan leaves it no requests.
   * Give them at full weight only: rates move over the day, so a comparison at the same time is better wherever there is one.
   */
  readonly earlierStable?: Answers
  /** Pods that ought to be read and could not: missing data, so nothing passes until they are. */
  readonly unread?: readonly string[]
}

/**
 * Sums over pod processes that are gone, of one plan. Kept in status, so bounded: sparse histograms of at most 150 buckets for the
 * two revisions of a plan, five error samples each, and the names of the latest 64 instances (and those of one look). A new plan starts it anew.
 */
export interface DepartedTotals {
  readonly planId: number
  /** By revision that was asked to answer. */
  readonly answers: Readonly<Record<string, Answers>>
  /** Processes that are in the sums, latest last: writing the same departure twice counts it once. */
  readonly instances: readonly string[]
}

/** The latest that one process said, and the pod it ran in. */
export interface Reading {
  /** Uid of the pod. */
  readonly pod: string
  readonly evidence: Evidence
}

/** A pod that exists now and ought to be read. */
export interface SeenPod {
  readonly uid: string
  readonly name: string
  /** Absent when it could not be read this time. */
  readonly evidence?: Evidence
}

export interface Tally {
  /** Sums by revision that was asked to answer: living and departed. */
  readonly answers: Readonly<Record<string, Answers>>
  /** To be kept in status. */
  readonly departed: DepartedTotals
  /**
   * To be given back at the next look: the latest reading of every process that lives, and of those gone that the given `departed`
   * did not hold yet, so that a status write that failed loses nothing.
   */
  readonly readings: readonly Reading[]
  /** Names of pods that were not read this time; what they said last still counts. */
  readonly unread: readonly string[]
}

const MAX_ERROR_SAMPLES = 5
/** A process whose departure is this far back has long left the caller's readings, so it cannot come up again. */
const MAX_SETTLED_INSTANCES = 64

export const NO_ANSWERS: Answers = {
  ok: 0,
  error: 0,
  rejected: 0,
  foreign: 0,
  skipped: 0,
  latency: {},
  errorSamples: [],
}

/** Adds up what was read under plan `planId`; readings and totals of other plans are left out. */
export function tally(look: {
  readonly planId: number
  /** Stable and candidate; answers of others are left out. */
  readonly revisions: readonly string[]
  readonly departed?: DepartedTotals
  /** `readings` of the look before. */
  readonly previous: readonly Reading[]
  readonly pods: readonly SeenPod[]
}): Tally {
  const current = look.pods.flatMap((pod) => (pod.evidence ? [{ pod: pod.uid, evidence: pod.evidence }] : []))
  const silent = look.pods.filter((pod) => pod.evidence === undefined)
  const kept = look.previous.filter((reading) => silent.some((pod) => pod.uid === reading.pod))
  const readings = [...current, ...kept]
  const living = new Set(readings.map(instanceOf))
  const gone = look.previous.filter((reading) => !living.has(instanceOf(reading)) && isOfPlan(reading, look.planId))
  const before = look.departed?.planId === look.planId ? look.departed : undefined
  const unsettled = gone.filter((reading) => !before?.instances.includes(instanceOf(reading)))
  const departed = settle(look, before, unsettled)
  const counted = readings.filter(
    (reading) => isOfPlan(reading, look.planId) && !departed.instances.includes(instanceOf(reading)),
  )
  return {
    answers: sumByRevision(look.revisions, [departed.answers, ...counted.map((reading) => reading.evidence.answers)]),
    departed,
    readings: [...readings, ...unsettled],
    unread: silent.map((pod) => pod.name),
  }
}

function instanceOf(reading: Reading): string {
  return reading.evidence.instance
}

function isOfPlan(reading: Reading, planId: number): boolean {
  return reading.evidence.planId === planId
}

/** Instances of this look are listed whatever their number: they are in the caller's readings until the next look finds them here. */
function settle(
  { planId, revisions }: { readonly planId: number; readonly revisions: readonly string[] },
  before: DepartedTotals | undefined,
  unsettled: readonly Reading[],
): DepartedTotals {
  return {
    planId,
    answers: sumByRevision(revisions, [before?.answers ?? {}, ...unsettled.map((reading) => reading.evidence.answers)]),
    instances: [...(before?.instances ?? []).slice(-MAX_SETTLED_INSTANCES), ...unsettled.map(instanceOf)],
  }
}

function sumByRevision(
  revisions: readonly string[],
  parts: readonly Readonly<Record<string, Answers>>[],
): Record<string, Answers> {
  const sumOf = (revision: string) => sumAnswers(parts.flatMap((part) => part[revision] ?? []))
  return Object.fromEntries(revisions.map((revision) => [revision, sumOf(revision)]))
}

export function sumAnswers(parts: readonly Answers[]): Answers {
  return parts.reduce(addAnswers, NO_ANSWERS)
}

function addAnswers(a: Answers, b: Answers): Answers {
  return {
    ok: a.ok + b.ok,
    error: a.error + b.error,
    rejected: a.rejected + b.rejected,
    foreign: a.foreign + b.foreign,
    skipped: a.skipped + b.skipped,
    latency: addCounts(a.latency, b.latency),
    errorSamples: mergedSamples([...a.errorSamples, ...b.errorSamples]),
  }
}

function addCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sum = { ...a }
  for (const [key, count] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + count
  return sum
}

/** The most frequent messages, at most five; ties by text, so that the order of pods does not matter. */
function mergedSamples(samples: Answers['errorSamples']): Answers['errorSamples'] {
  const counts = new Map<string, number>()
  for (const { message, count } of samples) counts.set(message, (counts.get(message) ?? 0) + count)
  return [...counts]
    .sort(([a, aCount], [b, bCount]) => bCount - aCount || (a < b ? -1 : 1))
    .slice(0, MAX_ERROR_SAMPLES)
    .map(([message, count]) => ({ message, count }))
}

/** What the candidate is compared with. `trialsOf` says how many of some answers count for the gate that asks. */
export function comparisonOf(
  { stable, earlierStable = NO_ANSWERS }: Samples,
  trialsOf: (answers: Answers) => number,
): { stable: Answers; baseline: Baseline } {
  if (trialsOf(earlierStable) > 0) return { stable: sumAnswers([earlierStable, stable]), baseline: 'EarlierSteps' }
  return { stable, baseline: trialsOf(stable) > 0 ? 'Stable' : 'None' }
}
