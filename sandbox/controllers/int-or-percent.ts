import type { IntOrPercent } from './objects.ts'

/** Resolves an absolute number or a percentage of `total` into a count. Text that is no percentage counts as 0. */
export function resolveCount(value: IntOrPercent, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(value)
  if (percent?.[1] === undefined) return 0
  const exact = (Number(percent[1]) * total) / 100
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact)
}
