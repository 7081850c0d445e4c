/** The report for people: one HTML document with inline SVG, which loads nothing and runs nothing. */
import { MAX_VALUES_AS_CATEGORIES, sturgesBins, weightedValues } from './distance.ts'
import { presentCells, type FeatureDrift, type WeightedCells } from './drift.ts'
import type { DriftReport } from './monitor.ts'
import { escaped } from './escaped.ts'
import { histogramSvg } from './plot.ts'
import type { Profile } from './profile.ts'
import type { Quality, Task } from './quality.ts'
import type { MonitorSettings } from './settings.ts'

export interface ReportedModel {
  readonly modelName: string
  readonly modelVersion: string
  readonly revision: string
}

export interface Monitored {
  readonly drift: DriftReport
  readonly quality: Quality
  readonly predictions: WeightedCells
  readonly profile: Profile | undefined
  readonly settings: MonitorSettings
  readonly task: Task | undefined
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1b2430;--dim:#5c6773;--line:#d5dbe1;--paper:#fff;--soft:#f4f6f8;--ref:#8fa3b8;--cur:#e07a1f;--bad:#b3261e;--good:#1c7c3c}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--dim:#9aa6b2;--line:#36404a;--paper:#14191f;--soft:#1c232b;--ref:#5f7488;--cur:#f0954a;--bad:#ff8a80;--good:#6fd28f}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1100px;padding:24px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 12px}h3{font-size:15px;margin:0;overflow-wrap:anywhere}p{margin:4px 0}.dim{color:var(--dim)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:16px}.fact{background:var(--soft);border-radius:8px;padding:10px 14px}
.fact b{display:block;font-size:22px;font-variant-numeric:tabular-nums}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:16px}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 14px}.card header{display:flex;justify-content:space-between;gap:8px}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 8px;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left;min-width:120px;overflow-wrap:anywhere}th{color:var(--dim);font-weight:600}
.table{overflow-x:auto}svg{display:block;width:100%;height:auto;margin-top:8px}svg text{fill:var(--dim);font-size:10px}.ref{fill:var(--ref)}.cur{fill:var(--cur)}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 12px}.key.ref{background:var(--ref)}.key.cur{background:var(--cur)}`

export function reportPage({ modelName, modelVersion, revision }: ReportedModel, monitored: Monitored): string {
  const title = `${modelName} ${modelVersion}: drift and quality`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><h1>${escaped(title)}</h1><p class="dim">Revision ${escaped(revision)}, this pod only. ${escaped(windowOf(monitored.settings))}</p>
${summary(monitored)}${features(monitored)}${predictions(monitored)}</body></html>
`
}

function windowOf({ window }: MonitorSettings): string {
  const minutes = Math.round(window.windowMs / 60_000)
  return `Requests of the last ${minutes} minutes or ${window.windowRows} rows, whichever are fewer.`
}

function summary({ drift, quality, profile, settings }: Monitored): string {
  const drifted = drift.features.filter((feature) => feature.drifted).length
  const facts: [string, string][] = [['rows in the window', String(drift.seen)]]
  if (drift.driftedShare !== undefined) {
    facts.push([`of ${drift.features.length} features drifted`, String(drifted)])
    facts.push(['the data as a whole', drift.drifted === true ? 'drifted' : 'as the reference'])
  }
  const named = Object.entries(quality).filter(([name]) => name !== 'count') as [string, number][]
  facts.push(...named.map(([name, value]): [string, string] => [QUALITY_NAMES[name] ?? name, figure(value)]))
  facts.push(['answers with a label', String(quality.count)])
  const cards = facts.map(
    ([name, value]) => `<div class="fact"><b>${escaped(value)}</b><span class="dim">${escaped(name)}</span></div>`,
  )
  return `<div class="facts">${cards.join('')}</div>${note(drift, profile, settings)}`
}

const QUALITY_NAMES: Readonly<Record<string, string>> = {
  accuracy: 'accuracy',
  f1Macro: 'F1, mean of the classes',
  f1Positive: 'F1 of the positive class',
  logLoss: 'log loss',
  meanAbsoluteError: 'mean absolute error',
  rootMeanSquaredError: 'root mean squared error',
}

function note({ features, seen }: DriftReport, profile: Profile | undefined, { minRows }: MonitorSettings): string {
  if (profile === undefined) {
    return '<p>There is no reference: make one with <code>penstock-server profile</code> and serve with <code>--profile</code>.</p>'
  }
  if (features.length === 0) return `<p>Drift is judged from ${minRows} rows on; so far there are ${seen}.</p>`
  return ''
}

function features({ drift, settings }: Monitored): string {
  if (drift.features.length === 0) return ''
  const byScore = [...drift.features].sort((left, right) => rank(right) - rank(left))
  const { threshold } = settings.rule
  return `<h2>Features</h2><p class="dim">A feature has drifted when its score is ${threshold} or more.<span class="key ref"></span>reference<span class="key cur"></span>recent requests</p>
<div class="table"><table><thead><tr><th>feature</th><th>score</th><th>PSI</th><th>Jensen-Shannon</th><th>Wasserstein, normed</th><th>p-value</th><th>missing</th></tr></thead><tbody>${byScore.map(tableRow).join('')}</tbody></table></div>
<h2>Distributions</h2><div class="grid">${byScore.map(card).join('')}</div>`
}

/** What cannot be scored stands first. */
function rank({ score = Number.MAX_VALUE }: FeatureDrift): number {
  return score
}

function tableRow({ name, score, drifted, missing, measures }: FeatureDrift): string {
  const { psi, jensenshannon, wasserstein, ks_p_value: ks, chisquare_p_value: chiSquare } = measures
  const cells = [psi, jensenshannon, wasserstein].map((value) => (value === undefined ? '' : figure(value)))
  const test = ks === undefined ? 'χ²' : 'KS'
  const p = ks ?? chiSquare
  const pValue = p === undefined ? '' : `${test} ${figure(p)}`
  const shown = `<td class="${drifted ? 'bad' : 'good'}">${score === undefined ? '–' : figure(score)}</td>`
  const others = [...cells, pValue, `${figure(missing * 100)}%`]
  return `<tr><td>${escaped(name)}</td>${shown}${others.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
}

function card({ name, method, score, drifted, histogram }: FeatureDrift): string {
  const verdict = `<span class="${drifted ? 'bad' : 'good'}">${drifted ? 'drifted' : 'steady'}</span>`
  const measured = score === undefined ? 'every value is missing' : `${method} ${figure(score)}`
  return `<section class="card"><header><h3>${escaped(name)}</h3>${verdict}</header><p class="dim">${measured}</p>${histogramSvg(histogram, name)}</section>`
}

function predictions({ drift, predictions: recent, task }: Monitored): string {
  const { cells, weights } = presentCells(recent)
  if (cells.length === 0) return ''
  if (drift.prediction !== undefined) {
    return `<h2>Predictions</h2><div class="grid">${card({ ...drift.prediction, name: 'prediction' })}</div>`
  }
  const isNumeric = task === 'regression' && new Set(cells).size > MAX_VALUES_AS_CATEGORIES
  const histogram = isNumeric ? binned(cells.map(Number), weights) : counted(cells, weights)
  return `<h2>Predictions</h2><div class="grid"><section class="card"><h3>recent requests</h3>${histogramSvg(histogram, 'prediction')}</section></div>`
}

function binned(values: readonly number[], weights: readonly number[]) {
  const sample = weightedValues(values, weights)
  const { edges, current } = sturgesBins(sample, sample, values.length)
  return { labels: current.map((_, bin) => `${figure(edges[bin] ?? 0)} – ${figure(edges[bin + 1] ?? 0)}`), current }
}

function counted(cells: WeightedCells['cells'], weights: readonly number[]) {
  const counts = new Map<string, number>()
  cells.forEach((cell, index) => counts.set(String(cell), (counts.get(String(cell)) ?? 0) + (weights[index] ?? 1)))
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const sorted = [...counts].sort(([left], [right]) => left.localeCompare(right, 'en', { numeric: true }))
  return { labels: sorted.map(([label]) => label), current: sorted.map(([, count]) => count / total) }
}

function figure(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) < 0.0001 ? value.toExponential(1) : String(Number(value.toPrecision(4)))
}
