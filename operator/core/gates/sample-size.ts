/** How many requests a decision takes: for the messages of gates that cannot decide yet, and for people who write policies. */
import { rateBounds, sideOf } from './sequential.ts'

/** Beyond this many requests a decision is called out of reach: an estimate that far ahead is worth nothing. */
const OUT_OF_REACH = 1e6

/**
 * Requests that a candidate must answer, all of them well, before an error rate gate passes; more when some fail.
 * `alpha` is the gate's, of which the candidate's bounds get half. Infinity when out of reach.
 */
export function cleanTrialsToPass(gate: { maxIncrease: number; alpha: number; minSamples: number }): number {
  const passes = (trials: number) =>
    trials >= gate.minSamples && rateBounds({ failures: 0, trials, alpha: gate.alpha / 2 }).upper <= gate.maxIncrease
  return leastWhole(passes)
}

/** Requests after which a quantile is bounded from above even in the best case, when all durations are alike. */
export function trialsToBoundQuantile(gate: { quantile: number; alpha: number }): number {
  const isBounded = (trials: number) =>
    sideOf(gate.quantile, { failures: trials, trials, alpha: gate.alpha / 4 }) === 'Above'
  return leastWhole(isBounded)
}

/**
 * Further requests after which a gate decides if everything goes on as seen: all counts grow by one factor.
 * `isDecided` must stay true once it is. Undefined when that is out of reach (a million), as when the candidate is at the very limit.
 */
export function moreTrials(trials: number, isDecided: (scale: number) => boolean): number | undefined {
  if (isDecided(1)) return 0
  const more = leastWhole((extra) => isDecided((trials + extra) / trials))
  return more === Infinity ? undefined : more
}

/** Least whole number from 1 on for which a condition holds that stays true once it is; Infinity when out of reach. */
function leastWhole(holds: (n: number) => boolean): number {
  let low = 0
  let high = 1
  while (!holds(high)) {
    if (high === OUT_OF_REACH) return Infinity
    low = high
    high = Math.min(2 * high, OUT_OF_REACH)
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (holds(middle)) high = middle
    else low = middle
  }
  return high
}
