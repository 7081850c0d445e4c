/** P-values of two-sample tests: how often chance alone would make two samples of one source differ at least so much. */
import jstat from 'jstat'
import type { CategoryCounts } from './distance.ts'

/** Products of the sample sizes up to which a p-value is exact; beyond, the asymptotic one is as good. */
const MAX_EXACT_PATHS = 4_000_000
/** An asymptotic p-value below this is 0 for every purpose, and its exact form is dear. */
const NEGLIGIBLE = 1e-9

/**
 * Two-sided p-value of the two-sample Kolmogorov-Smirnov statistic.
 *
 * Exact for samples of moderate size without weights (Hodges, Arkiv för Matematik 3, 1958): under the hypothesis every order of the
 * pooled values is as likely as any other, so it is the probability that a random lattice path leaves the band |x/n - y/m| < d.
 */
export function kolmogorovSmirnovPValue(statistic: number, n: number, m: number): number {
  const asymptotic = kolmogorovTail(statistic * Math.sqrt((n * m) / (n + m)))
  const isCounted = Number.isInteger(n) && Number.isInteger(m)
  return isCounted && n * m <= MAX_EXACT_PATHS && asymptotic >= NEGLIGIBLE
    ? probabilityOfLeaving(statistic, n, m)
    : asymptotic
}

function probabilityOfLeaving(statistic: number, n: number, m: number): number {
  // Law: whole numbers, as a path that touches the band's edge counts as outside and rounding must not decide that.
  const limit = Math.round(statistic * n * m)
  if (limit === 0) return 1
  const inside = new Float64Array(m + 1)
  let outside = 0
  const arrive = (x: number, y: number, probability: number) => {
    if (Math.abs(x * m - y * n) >= limit) outside += probability
    else inside[y] = (inside[y] ?? 0) + probability
  }
  arrive(0, 0, 1)
  for (let x = 0; x <= n; x += 1) {
    const last = Math.min(m, Math.floor((x * m + limit) / n))
    for (let y = Math.max(0, Math.ceil((x * m - limit) / n)); y <= last; y += 1) {
      const here = inside[y] ?? 0
      inside[y] = 0
      if (here === 0) continue
      const left = n - x + (m - y)
      if (y < m) arrive(x, y + 1, (here * (m - y)) / left)
      if (x < n) arrive(x + 1, y, (here * (n - x)) / left)
    }
  }
  return Math.min(1, outside)
}

/** The tail of Kolmogorov's distribution. */
function kolmogorovTail(x: number): number {
  if (x < 0.2) return 1
  let tail = 0
  for (let k = 1; k <= 100; k += 1) {
    const term = 2 * (k % 2 === 1 ? 1 : -1) * Math.exp(-2 * k * k * x * x)
    tail += term
    if (Math.abs(term) < 1e-17) break
  }
  return Math.min(1, Math.max(0, tail))
}

/** P-value of Pearson's goodness of fit of the current counts to the reference's shares (scipy's `chisquare`). */
export function chiSquarePValue(reference: CategoryCounts, current: CategoryCounts): number {
  const keys = new Set([...reference.keys(), ...current.keys()])
  const total = (counts: CategoryCounts) => [...counts.values()].reduce((sum, count) => sum + count, 0)
  const scale = total(current) / total(reference)
  let statistic = 0
  for (const key of keys) {
    const expected = (reference.get(key) ?? 0) * scale
    const observed = current.get(key) ?? 0
    // Something that the reference never had is impossible under it.
    if (expected === 0 && observed > 0) return 0
    if (expected > 0) statistic += (observed - expected) ** 2 / expected
  }
  return keys.size < 2 ? 1 : 1 - jstat.chisquare.cdf(statistic, keys.size - 1)
}
