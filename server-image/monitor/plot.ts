import { escaped } from './escaped.ts'

export interface PlottedShares {
  readonly labels: readonly string[]
  readonly reference?: readonly number[]
  readonly current: readonly number[]
}

const WIDTH = 320
const HEIGHT = 150
const BASE = 118
const TOP = 8
const LEFT = 40
const RIGHT = 14
/** More bars than this cannot be told apart; the largest are shown. */
const MAX_BARS = 24
const MAX_LABEL_CHARACTERS = 9

/** Bars of the shares in each bin, the reference's beside the current's. @param name what is plotted, for those who cannot see it */
export function histogramSvg({ labels, reference, current }: PlottedShares, name: string): string {
  const shown = largest(labels.length, (bin) => Math.max(reference?.[bin] ?? 0, current[bin] ?? 0))
  const highest = Math.max(1e-9, ...shown.map((bin) => Math.max(reference?.[bin] ?? 0, current[bin] ?? 0)))
  const slot = (WIDTH - LEFT - RIGHT) / Math.max(1, shown.length)
  const series = reference === undefined ? [{ style: 'cur', shares: current }] : bothSeries(reference, current)
  const width = (slot * 0.84) / series.length
  const bars = shown.flatMap((bin, place) =>
    series.map(({ style, shares }, index) => {
      const height = ((shares[bin] ?? 0) / highest) * (BASE - TOP)
      const x = LEFT + place * slot + slot * 0.08 + index * width
      const title = `${labels[bin] ?? ''}: ${percent(shares[bin] ?? 0)}`
      return `<rect class="${style}" x="${fixed(x)}" y="${fixed(BASE - height)}" width="${fixed(width)}" height="${fixed(height)}"><title>${escaped(title)}</title></rect>`
    }),
  )
  const every = Math.ceil(shown.length / 6)
  const ticks = shown.flatMap((bin, place) => {
    if (place % every !== 0) return []
    const x = LEFT + (place + 0.5) * slot
    return [`<text x="${fixed(x)}" y="${BASE + 14}" text-anchor="middle">${escaped(tick(labels[bin] ?? ''))}</text>`]
  })
  const scale = [
    `<text x="${LEFT - 4}" y="${TOP + 6}" text-anchor="end">${percent(highest)}</text>`,
    `<text x="${LEFT - 4}" y="${BASE}" text-anchor="end">0</text>`,
  ]
  const label = escaped(`Distribution of ${name}`)
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${[...bars, ...ticks, ...scale].join('')}</svg>`
}

function bothSeries(reference: readonly number[], current: readonly number[]) {
  return [
    { style: 'ref', shares: reference },
    { style: 'cur', shares: current },
  ]
}

/** Indexes of the largest, in their own order. */
function largest(count: number, size: (index: number) => number): number[] {
  const all = Array.from({ length: count }, (_, index) => index)
  if (count <= MAX_BARS) return all
  return all
    .sort((left, right) => size(right) - size(left))
    .slice(0, MAX_BARS)
    .sort((left, right) => left - right)
}

function tick(label: string): string {
  const start = label.split(' – ')[0] ?? label
  return start.length > MAX_LABEL_CHARACTERS ? `${start.slice(0, MAX_LABEL_CHARACTERS - 1)}…` : start
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`
}

function fixed(value: number): string {
  return value.toFixed(1)
}
