/**
 * What a plan's requests came to, summed over every pod that ever answered under it.
 *
 * Law: no count is lost and none is counted twice. A pod process is known by its random `instance`; counters only grow, so its
 * latest reading replaces its earlier one, and the reading of a process that is gone moves into the departed totals once.
 */
import type { Answers } from '../../../protocol/evidence.ts'

/** The sums that gates judge, all of one plan. */
export interface Samples {
  readonly stable: Answers
  readonly candidate: Answers
  /** Stable's answers under earlier plans of this rollout: continues stable's evidence where this plan leaves it no requests. */
  readonly earlierStable?: Answers
  /** Pods that ought to be read and could not: missing data, so nothing passes until they are. */
  readonly unread?: readonly string[]
}

/**
 * Sums over pod processes that are gone, of one plan. Kept in status, so bounded: two revisions at most, sparse histograms of at most
 * 150 buckets, five error samples each. A new plan starts it anew.
 */
export interface DepartedTotals {
  readonly planId: number
  /** By revision that was asked to answer. */
  readonly answers: Readonly<Record<string, Answers>>
}
