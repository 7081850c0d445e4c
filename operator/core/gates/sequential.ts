/**
 * Bounds of a failure rate that stay valid however often one looks.
 *
 * Law (Ville's inequality): with probability 1 - alpha the true rate lies inside the bounds at every look at once, so an operator
 * may decide at any moment and watching longer raises no false alarm. A fixed-sample interval (Wald, Wilson, Clopper-Pearson)
 * looked at after every request misses sooner or later with near certainty.
 *
 * Method: for a rate p, the ratio of the likelihood averaged over a Beta(1/2, 1/2) prior to the likelihood under p,
 *   M(p) = B(k + 1/2, n - k + 1/2) / (B(1/2, 1/2) p^k (1 - p)^(n - k)),
 * is a martingale with mean 1 when p is the truth, hence P(it ever reaches 1 / alpha) <= alpha; the bounds enclose every p that is
 * not yet ruled out so. Sources: Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon, Annals of Statistics 2021; Lindon and Malek,
 * NeurIPS 2022 (the multinomial case, of which this is two cells). The prior is Jeffreys': next to the uniform one it costs half as
 * much where rates of servers are, near zero: ln(pi n) / 2 instead of ln(n + 1).
 *
 * Not promised: that bounds only narrow from look to look. They are computed from the present sums alone (intersecting with earlier
 * ones would be valid too, but then a verdict could not be checked from its evidence). With alpha = 0.01, no failure of
 * 10 / 100 / 1,000 / 10,000 requests bounds the rate from above by 0.47 / 0.072 / 0.0086 / 0.00098.
 */
import { logGamma } from './log-gamma.ts'

export interface Trials {
  readonly failures: number
  /** Failures and successes together. Need not be whole, so that growth can be extrapolated. */
  readonly trials: number
}

export interface RateBounds {
  readonly lower: number
  readonly upper: number
}

const LOG_PI = Math.log(Math.PI)

/**
 * Two-sided confidence sequence for the failure rate. No trials give [0, 1].
 * @throws RangeError when failures are not in 0..trials, or alpha is not in (0, 1).
 */
export function rateBounds(seen: Trials & { readonly alpha: number }): RateBounds {
  const { failures, trials } = checked(seen)
  const limit = -Math.log(checkedAlpha(seen.alpha))
  if (trials === 0) return { lower: 0, upper: 1 }
  const passed = trials - failures
  const spare = logMixture({ failures, trials }) - limit
  return {
    lower: failures === 0 ? 0 : Math.exp(logOfLowerBound(failures, passed, spare)),
    // Bounding the failures from above is bounding the rest from below.
    upper: passed === 0 ? 1 : -Math.expm1(logOfLowerBound(passed, failures, spare)),
  }
}

/** Which side of `rate` the true rate is proven to lie on, at level alpha over all looks; undefined while it may be on either. */
export function sideOf(rate: number, seen: Trials & { readonly alpha: number }): 'Below' | 'Above' | undefined {
  const { failures, trials } = checked(seen)
  const limit = -Math.log(checkedAlpha(seen.alpha))
  if (trials === 0) return undefined
  const passed = trials - failures
  const logLikelihood =
    (failures === 0 ? 0 : failures * Math.log(rate)) + (passed === 0 ? 0 : passed * Math.log1p(-rate))
  if (logMixture({ failures, trials }) - logLikelihood < limit) return undefined
  return failures / trials > rate ? 'Above' : 'Below'
}

/** The logarithm of the numerator of M, which does not depend on the rate. */
function logMixture({ failures, trials }: Trials): number {
  return logGamma(failures + 0.5) + logGamma(trials - failures + 0.5) - logGamma(trials + 1) - LOG_PI
}

/**
 * The logarithm u of the least rate that `hits` of `hits + misses` do not rule out, where
 *   ln M = logMixture - hits u - misses ln(1 - e^u)
 * falls to the limit; `spare` is logMixture less the limit. ln M is convex in u and falls up to the observed rate, so Newton's method
 * from a point below comes nearer from below at every step and never passes the bound. It starts where the misses would not count.
 */
function logOfLowerBound(hits: number, misses: number, spare: number): number {
  let u = spare / hits
  if (misses === 0) return u
  for (;;) {
    const rate = Math.exp(u)
    const above = spare - hits * u - misses * logOneLess(u)
    const next = u + above / (hits - (misses * rate) / -Math.expm1(u))
    // At the last digits, rounding makes it stand still or turn round; beyond the observed rate, the slope has another sign.
    if (!(next - u > 1e-15 * -u && next < 0)) return u
    u = next
  }
}

/** ln(1 - e^u) for u < 0, exact at both ends. */
function logOneLess(u: number): number {
  return u < -Math.LN2 ? Math.log1p(-Math.exp(u)) : Math.log(-Math.expm1(u))
}

function checked({ failures, trials }: Trials): Trials {
  if (!(failures >= 0 && failures <= trials && trials < Infinity)) {
    throw new RangeError(`failures must lie in 0..trials and trials be finite: got ${failures} of ${trials}`)
  }
  return { failures, trials }
}

function checkedAlpha(alpha: number): number {
  if (!(alpha > 0 && alpha < 1)) throw new RangeError(`alpha must lie between 0 and 1, without them: got ${alpha}`)
  return alpha
}
