import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { dump } from 'js-yaml'
import { CHART, manifestsIn, runHelm } from './helm.ts'

const helm = process.env.HELM_BIN ?? 'helm'
const promtool = process.env.PROMTOOL ?? 'promtool'
const isThere = spawnSync(promtool, ['--version']).error === undefined
if (!isThere)
  console.warn('SKIPPED: the alerts are not tested, as there is no promtool; install Prometheus, or set PROMTOOL.')
const testWithPromtool = isThere ? test : test.skip

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'penstock-alerts-'))
  writeFileSync(join(dir, 'rules.yaml'), dump(rulesWith('serviceMonitor.enabled=true')))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

interface Rules {
  readonly groups: readonly { readonly name: string }[]
}

function rulesWith(...metrics: string[]): Rules {
  const values = ['prometheusRule.enabled=true', ...metrics].map((value) => `--set=metrics.${value}`)
  const release = ['template', 'pen', CHART, '--namespace=ml', ...values]
  const { stdout } = runHelm(helm, [...release, '--show-only=templates/prometheusrule.yaml'])
  return manifestsIn(stdout)[0]?.spec as Rules
}

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: dir, encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

const model = { namespace: 'ml', penstock_dev_modeldeployment: 'fraud' }
const series = (name: string, labels: Record<string, string>, values: string) => ({
  series: `${name}{${Object.entries(labels)
    .map(([key, value]) => `${key}="${value}"`)
    .join()}}`,
  values,
})
const ours = { namespace: 'ml', service: 'pen-penstock-metrics' }
const others = [
  { namespace: 'ml', service: 'other-penstock-metrics' },
  { namespace: 'elsewhere', service: 'pen-penstock-metrics' },
]
const leader = (pod: string, values: string, release = ours) => series('penstock_leader', { ...release, pod }, values)
const reconciles = (outcome: string, values: string, release = ours) =>
  series('penstock_reconciles_total', { ...release, outcome }, values)
const rolledBack = (values: string, release = ours) =>
  series('penstock_rollout_transitions_total', { ...release, reason: 'RolledBack' }, values)
const answers = (status: string, values: string) =>
  series('penstock_client_answers_total', { ...model, status }, values)
const computed = (penstock_dev_revision: string, status: string, values: string) =>
  series('ml_predictions_total', { ...model, penstock_dev_revision, status }, values)
/** @param buckets cumulative, by their upper edge */
const latencies = (buckets: Record<string, string>) =>
  Object.entries(buckets).map(([le, values]) =>
    series('ml_prediction_latency_seconds_bucket', { ...model, le }, values),
  )

testWithPromtool('Prometheus takes the rules', () => {
  expect(run('check', 'rules', 'rules.yaml')).toMatchObject({ status: 0 })
})

testWithPromtool.each([
  [
    'ModelPredictionsFail',
    'when one request in ten fails',
    [answers('success', '0+90x60'), answers('error', '0+10x60')],
    { ...model, severity: 'critical' },
  ],
  [
    'ModelPredictionsFail',
    'not when one in a hundred does, nor for what clients do wrong',
    [answers('success', '0+99x60'), answers('error', '0+1x60'), answers('invalid', '0+100x60')],
    undefined,
  ],
  [
    'ModelPredictionsFail',
    'not for a candidate that fails all it is asked, while stable answers in its place',
    [
      answers('success', '0+100x60'),
      computed('stable', 'success', '0+100x60'),
      computed('candidate', 'error', '0+25x60'),
    ],
    undefined,
  ],
  [
    'ModelLatencyHigh',
    'when one answer in twenty takes over two seconds',
    latencies({ 0.5: '0+95x60', 1: '0+95x60', 2.5: '0+100x60', '+Inf': '0+100x60' }),
    { ...model, severity: 'warning' },
  ],
  [
    'ModelLatencyHigh',
    'not when one in a thousand does',
    latencies({ 0.5: '0+999x60', 1: '0+999x60', 2.5: '0+1000x60', '+Inf': '0+1000x60' }),
    undefined,
  ],
  ['PenstockNoLeader', 'when no operator leads', [leader('a', '0x60')], { ...ours, severity: 'critical' }],
  ['PenstockNoLeader', 'when there is no operator', [], { ...ours, severity: 'critical' }],
  [
    'PenstockNoLeader',
    'when only those of other releases lead',
    [leader('a', '0x60'), ...others.map((each) => leader('a', '1x60', each))],
    { ...ours, severity: 'critical' },
  ],
  ['PenstockNoLeader', 'not while one of two leads', [leader('a', '0x60'), leader('b', '1x60')], undefined],
  [
    'PenstockNoLeader',
    'not for another release',
    [leader('a', '1x60'), ...others.map((each) => leader('a', '0x60', each))],
    undefined,
  ],
  [
    'PenstockReconcilesFail',
    'when two reconciles in three fail',
    [reconciles('Success', '0+10x60'), reconciles('Error', '0+20x60')],
    { ...ours, severity: 'warning' },
  ],
  [
    'PenstockReconcilesFail',
    'not for another release, however many of its fail',
    [reconciles('Success', '0+10x60'), ...others.map((each) => reconciles('Error', '0+90x60', each))],
    undefined,
  ],
  [
    'PenstockReconcilesFail',
    'not when one in ten does',
    [reconciles('Success', '0+90x60'), reconciles('Error', '0+10x60')],
    undefined,
  ],
  ['PenstockRolledBack', 'at the first rollback of an operator', [rolledBack('_x44 1x16')], { severity: 'info' }],
  ['PenstockRolledBack', 'at a later one', [rolledBack('1x44 2x16')], { severity: 'info' }],
  ['PenstockRolledBack', 'not for another release', others.map((each) => rolledBack('_x44 1x16', each)), undefined],
  ['PenstockRolledBack', 'not for one of an hour ago', [rolledBack('1x60')], undefined],
  [
    'ModelFeatureDrift',
    'when a feature drifts for half an hour',
    [series('ml_feature_drift_score', { ...model, feature: 'age' }, '0.4x60')],
    { ...model, feature: 'age', severity: 'warning' },
  ],
])('%s fires %s', (alertname, _when, input_series, labels) => {
  const tests = {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: [{ interval: '1m', input_series, alert_rule_test: [{ eval_time: '50m', alertname, exp_alerts: [] }] }],
  }
  writeFileSync(join(dir, 'test.yaml'), dump(tests))
  const { status, said } = run('test', 'rules', 'test.yaml')
  // Without an expectation promtool fails and prints what fires, which holds the annotations' texts as well.
  if (labels === undefined) expect([status, said]).toEqual([0, expect.stringContaining('SUCCESS')])
  else {
    expect(status).toBe(1)
    for (const [name, value] of Object.entries(labels)) expect(said).toContain(`${name}="${value}"`)
    expect(said).not.toContain('error executing template')
  }
})

test.each([
  [
    'where a ServiceMonitor has them scraped',
    ['serviceMonitor.enabled=true'],
    ['penstock-operator', 'penstock-models'],
  ],
  [
    'where something else does',
    ['prometheusRule.scrapedWithoutMonitor=true'],
    ['penstock-operator', 'penstock-models'],
  ],
  ['nowhere else: nobody would ever be seen to lead', ['podMonitor.enabled=true'], ['penstock-models']],
])('operators are alerted about %s', (_where, values, groups) => {
  expect(rulesWith(...values).groups.map(({ name }) => name)).toEqual(groups)
})
